// Reads captures record by record: pcap (CaptureReader+Pcap.swift) and pcapng
// (CaptureReader+Pcapng.swift). One buffer holds the record at hand and what was read ahead; it
// grows to the largest record and no further, whatever the length of the capture.

/// One captured packet, whose bytes stay in the reader's buffer until the next one is asked for.
public struct CaptureRecord: Sendable, Hashable {
    /// Nanoseconds since the epoch.
    public var timestamp: UInt64
    /// Where the network-layer bytes are in `CaptureReader.buffer`; empty where there are none.
    public var range: Range<Int>
    /// What those bytes are.
    public var content: FrameContent
    /// Bytes of the frame in the capture, and on the wire: more where the capture cut it.
    public var capturedByteCount: Int
    public var originalByteCount: Int
    /// Index into `CaptureReader.interfaces`.
    public var interface: Int
    /// Where the record starts in the capture, in bytes.
    public var offset: UInt64

    /// Whether the capture holds less than the frame had.
    @inlinable public var isCut: Bool { capturedByteCount < originalByteCount }
}

/// An interface that packets of a capture came from.
public struct CaptureInterface: Sendable, Hashable {
    /// pcapng's `if_name`; pcap has none.
    public var name: String?
    /// The number of its link type, which may be one that is not read.
    public var linkTypeNumber: UInt16
    /// Bytes kept of each frame; 0 is no limit.
    public var snapLength: UInt32
    var clock: CaptureClock
    var linkType: LinkType?
}

/// Reads a pcap or pcapng stream.
///
///     var reader = try CaptureReader(source)
///     while let record = try reader.next() {
///         let packet = reader.buffer.span.extracting(record.range)
///         …
///     }
///
/// After an error the reader stays where it is, and reports it again.
public struct CaptureReader {
    enum Format { case pcap, pcapng }

    /// Holds the bytes of the latest record.
    public internal(set) var buffer: [UInt8]
    /// The interfaces of the current section; exactly one in pcap.
    public internal(set) var interfaces: [CaptureInterface] = []

    let limits: CaptureLimits
    var format = Format.pcap
    /// The byte order of the current section.
    var isBigEndian = false
    /// The latest timestamp, which stands in where a record has none.
    var latestTimestamp: UInt64 = 0
    /// What was read and not yet used: `position..<end` of the buffer.
    var position = 0
    private var end = 0
    /// Where the buffer's first byte is in the stream.
    private var bufferOffset: UInt64 = 0
    private var source: any ByteSource

    /// Reads the stream's first header.
    ///
    /// Throws `notACapture` for anything but pcap and pcapng, and what the headers ask for.
    public init(
        _ source: any ByteSource, limits: CaptureLimits = CaptureLimits()
    ) throws(CaptureError) {
        self.source = source
        self.limits = limits
        buffer = [UInt8](repeating: 0, count: 256 << 10)
        guard try fill(4) else {
            throw CaptureError(
                .notACapture, at: 0, "found \(available) bytes in all, expected pcap or pcapng")
        }
        let magic = buffer.span.bigEndianUInt32(at: 0)
        if magic == Self.sectionHeaderType {
            format = .pcapng
            try startSection()
        } else {
            try startPcap(magic: magic)
        }
    }

    /// The next packet; `nil` at the end of the capture.
    ///
    /// Throws `truncated` at the end of a capture that was cut off in the middle of a record, after
    /// every whole record has been handed out.
    public mutating func next() throws(CaptureError) -> CaptureRecord? {
        switch format {
        case .pcap: try nextPcap()
        case .pcapng: try nextPcapng()
        }
    }

    // MARK: The buffer

    /// Bytes read ahead.
    var available: Int { end - position }

    /// The stream offset of `position`.
    var offset: UInt64 { bufferOffset + UInt64(position) }

    /// Sees to it that `byteCount` bytes stand at `position`; `false` when the stream ends before.
    ///
    /// May move what is in the buffer, and `position` with it.
    mutating func fill(_ byteCount: Int) throws(CaptureError) -> Bool {
        if end - position >= byteCount { return true }
        moveToFront()
        while end < byteCount {
            // Room comes as bytes do: a length field alone moves no memory.
            if end == buffer.count {
                let more = min(buffer.count, byteCount - end)
                buffer.append(contentsOf: repeatElement(0, count: more))
            }
            let count = try readSome()
            if count == 0 { return false }
            end += count
        }
        return true
    }

    private mutating func readSome() throws(CaptureError) -> Int {
        do {
            let count = try Self.read(from: &source, into: &buffer, at: end)
            precondition(
                count >= 0 && count <= buffer.count - end, "a byte source said it read too much")
            return count
        } catch {
            throw CaptureError(
                .source, at: bufferOffset + UInt64(end), "\(error)", underlying: error)
        }
    }

    private static func read(
        from source: inout any ByteSource, into buffer: inout [UInt8], at offset: Int
    ) throws -> Int {
        var span = buffer.mutableSpan
        return try source.read(into: &span, at: offset)
    }

    /// What is left is less than a record, so moving it costs little.
    private mutating func moveToFront() {
        guard position > 0 else { return }
        let count = end - position
        for index in 0..<count {
            buffer[index] = buffer[position &+ index]
        }
        bufferOffset += UInt64(position)
        position = 0
        end = count
    }

    // MARK: Numbers in the section's byte order

    /// The 32-bit number `offset` bytes after `position`.
    func uint32(at offset: Int) -> UInt32 {
        let value = buffer.span.bigEndianUInt32(at: position + offset)
        return isBigEndian ? value : value.byteSwapped
    }

    /// The 16-bit number `offset` bytes after `position`.
    func uint16(at offset: Int) -> UInt16 {
        let value = buffer.span.bigEndianUInt16(at: position + offset)
        return isBigEndian ? value : value.byteSwapped
    }

    // MARK: Frames

    /// The record of the frame that starts `start` bytes after `position`.
    mutating func record(
        frameAt start: Int, byteCount: Int, originalByteCount: Int, timestamp: UInt64,
        interface: Int
    ) throws(CaptureError) -> CaptureRecord {
        guard let linkType = interfaces[interface].linkType else {
            throw unsupportedLinkType(interfaces[interface])
        }
        let frame = position + start..<position + start + byteCount
        let (content, networkOffset) = linkType.locate(in: buffer.span.extracting(frame))
        latestTimestamp = timestamp
        return CaptureRecord(
            timestamp: timestamp, range: frame.lowerBound + networkOffset..<frame.upperBound,
            content: content, capturedByteCount: byteCount, originalByteCount: originalByteCount,
            interface: interface, offset: offset)
    }

    func unsupportedLinkType(_ interface: CaptureInterface) -> CaptureError {
        let name = interface.name.map { " of interface '\($0)'" } ?? ""
        let known = LinkType.allCases.map { "\($0.rawValue)" }.joined(separator: ", ")
        return CaptureError(
            .unsupported, at: offset,
            "found link type \(interface.linkTypeNumber)\(name), expected one of \(known)")
    }

    /// The stream ended before the `needed` bytes of a `what` were there.
    func truncated(_ what: String, needed: Int) -> CaptureError {
        CaptureError(
            .truncated, at: offset,
            "found the end of the capture after \(available) bytes, "
                + "expected a \(what) of \(needed) bytes")
    }

    /// A size beyond `limits.recordByteCount`.
    func tooLarge(_ what: String, _ byteCount: UInt32) -> CaptureError {
        CaptureError(
            .limit, at: offset,
            "found a \(what) of \(byteCount) bytes, expected at most \(limits.recordByteCount) "
                + "(CaptureLimits.recordByteCount)")
    }
}
