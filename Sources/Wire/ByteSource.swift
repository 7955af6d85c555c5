/// Where a reader gets its bytes from: a file, a pipe, an array.
public protocol ByteSource {
    /// Reads some bytes into `buffer` from `offset` on, as many as are at hand, and says how many.
    ///
    /// 0 is the end of the stream; before it every call brings at least one byte. There is room
    /// for one at least.
    mutating func read(into buffer: inout MutableSpan<UInt8>, at offset: Int) throws -> Int
}

/// Bytes that are in memory already.
public struct ByteArraySource: ByteSource, Sendable {
    private let bytes: [UInt8]
    private let maximumReadByteCount: Int
    private var position = 0

    /// `maximumReadByteCount` makes every read short, as a pipe's may be.
    public init(_ bytes: [UInt8], maximumReadByteCount: Int = .max) {
        precondition(maximumReadByteCount > 0, "a read brings at least one byte")
        self.bytes = bytes
        self.maximumReadByteCount = maximumReadByteCount
    }

    public mutating func read(into buffer: inout MutableSpan<UInt8>, at offset: Int) -> Int {
        let count = min(buffer.count - offset, bytes.count - position, maximumReadByteCount)
        for index in 0..<count {
            buffer[offset &+ index] = bytes[position &+ index]
        }
        position += count
        return count
    }
}
