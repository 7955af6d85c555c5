import Glibc
public import Wire

public struct InputFile: ByteSource {
    let fd: Int32
    public init(opening path: String) throws(StreamError) {
        fd = path == "-" ? 0 : unsafe open(path, O_RDONLY)
        if fd < 0 { throw .failed(code: 2) }
    }
    public var descriptor: Int32 { fd }
    public mutating func read(into buffer: inout MutableSpan<UInt8>, at offset: Int) throws -> Int {
        let fd = fd
        return unsafe buffer.withUnsafeMutableBytes {
            unsafe Glibc.read(fd, $0.baseAddress! + offset, $0.count - offset)
        }
    }
}
