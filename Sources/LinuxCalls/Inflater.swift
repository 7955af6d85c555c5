import CZlib

/// Decompresses a gzip stream piece by piece; members that follow each other are one stream.
///
/// A class: zlib keeps the address of its state, which therefore lives in one place.
@safe final class Inflater {
    private let stream: UnsafeMutablePointer<z_stream>
    /// Whether the stream could end here: between members.
    private(set) var isAtStart = true
    /// Whether a member came to its end.
    private(set) var hasMember = false

    init() {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // 15 bits of window, and 16 more for a gzip header.
        let result = unsafe inflateInit2_(
            stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(result == Z_OK, "zlib could not be set up: \(result)")
    }

    deinit {
        _ = unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Decompresses the bytes `range` of `source` into `target`, from `offset` on.
    ///
    /// - Returns: how many bytes of the source were used, and how many were written; where nothing
    ///   was written, more of the source is needed.
    func inflate(
        _ source: [UInt8], _ range: Range<Int>, into target: inout MutableSpan<UInt8>,
        at offset: Int
    ) throws(GzipError) -> (used: Int, written: Int) {
        precondition(source.indices.contains(range.lowerBound) && range.upperBound <= source.count)
        let room = UInt32(clamping: target.count - offset)
        let stream = unsafe stream
        let result = unsafe source.withUnsafeBytes { input in
            unsafe target.withUnsafeMutableBytes { output in
                // zlib reads through this pointer and never writes.
                unsafe stream.pointee.next_in = UnsafeMutablePointer(
                    mutating: input.bindMemory(to: UInt8.self).baseAddress.map {
                        unsafe $0 + range.lowerBound
                    })
                unsafe stream.pointee.avail_in = UInt32(range.count)
                unsafe stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
                    .map { unsafe $0 + offset }
                unsafe stream.pointee.avail_out = room
                return unsafe CZlib.inflate(stream, Z_NO_FLUSH)
            }
        }
        let used = range.count - Int(unsafe stream.pointee.avail_in)
        if used > 0 { isAtStart = false }
        switch result {
        case Z_OK, Z_BUF_ERROR: break
        case Z_STREAM_END:
            isAtStart = true
            hasMember = true
            _ = unsafe inflateReset(stream)
        default:
            let words = unsafe stream.pointee.msg.map { unsafe String(cString: $0) }
            throw GzipError(text: words ?? "found code \(result), expected a gzip stream")
        }
        return (used, Int(room) - Int(unsafe stream.pointee.avail_out))
    }
}
