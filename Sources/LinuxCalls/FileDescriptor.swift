internal import CLinuxShims
internal import Glibc

/// An open file, device or socket with one owner, closed when the owner goes.
public struct FileDescriptor: ~Copyable, Sendable {
    public enum Access: Sendable {
        case read
        case write
        case readWrite
        /// Reads and writes; a call that would have to wait does not.
        case readWriteWithoutWaiting
        /// Writes; makes the file, readable by its owner only, where there is none.
        case create
    }

    /// The number the system calls want; it stays valid while this value lives.
    let raw: Int32
    /// What was opened, for messages.
    let name: String

    /// Takes over a descriptor a system call has just returned.
    init(owning raw: Int32, name: String) {
        self.raw = raw
        self.name = name
    }

    public init(opening path: String, for access: Access) throws(SystemCallError) {
        let flags =
            switch access {
            case .read: O_RDONLY
            case .write: O_WRONLY
            case .readWrite: O_RDWR
            case .readWriteWithoutWaiting: O_RDWR | O_NONBLOCK
            case .create: O_RDWR | O_CREAT
            }
        raw = try checked("open", path) { unsafe open(path, flags | O_CLOEXEC, 0o600) }
        name = path
    }

    /// A file without a name, gone with this value.
    static func memoryFile(_ label: String) throws(SystemCallError) -> FileDescriptor {
        let raw = try checked("memfd_create", label) { unsafe ctlab_memory_file(label) }
        return FileDescriptor(owning: raw, name: label)
    }

    deinit { _ = Glibc.close(raw) }

    /// Reads at most `buffer.count` bytes from where the file stands; 0 at its end.
    ///
    /// - Returns: `nil` where a descriptor that does not wait has nothing to give.
    public func read(into buffer: inout [UInt8]) throws(SystemCallError) -> Int? {
        let raw = raw
        return try unlessItWouldBlock("read", name) {
            unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(raw, $0.baseAddress, $0.count)
            }
        }
    }

    /// Reads at most `buffer.count` bytes from `offset` on, wherever the file stands.
    public func read(into buffer: inout [UInt8], at offset: Int) throws(SystemCallError) -> Int {
        let raw = raw
        return try checked("pread", name) {
            unsafe buffer.withUnsafeMutableBytes {
                unsafe pread(raw, $0.baseAddress, $0.count, offset)
            }
        }
    }

    /// Writes the bytes with one call: what a device takes as one packet.
    public func write(_ bytes: borrowing Span<UInt8>) throws(SystemCallError) {
        let raw = raw
        let written = try checked("write", name) {
            unsafe bytes.withUnsafeBytes { unsafe Glibc.write(raw, $0.baseAddress, $0.count) }
        }
        guard written == bytes.count else {
            throw SystemCallError(call: "write \(name)", code: EIO)
        }
    }

    /// Reads from the file's beginning to its end.
    public func readAll() throws(SystemCallError) -> [UInt8] {
        var whole: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = try read(into: &buffer, at: whole.count)
            if count == 0 { return whole }
            whole.append(contentsOf: buffer[..<count])
        }
    }

    /// The number by which the file system tells this file from its others.
    public func fileNumber() throws(SystemCallError) -> UInt64 {
        let raw = raw
        var status = stat()
        try checked("fstat", name) { unsafe fstat(raw, &status) }
        return UInt64(status.st_ino)
    }

    /// Goes to the file's end.
    public func seekToEnd() throws(SystemCallError) {
        let raw = raw
        try checked("lseek", name) { lseek(raw, 0, SEEK_END) }
    }

    /// Empties the file and goes back to its beginning.
    public func truncate() throws(SystemCallError) {
        let raw = raw
        try checked("ftruncate", name) { ftruncate(raw, 0) }
        try checked("lseek", name) { lseek(raw, 0, SEEK_SET) }
    }

    /// Takes the file's advisory lock, alone or shared with others who take it so.
    ///
    /// A lock held is exchanged for the other kind. It goes when the process does, however it ends.
    ///
    /// - Returns: Whether it was to be had.
    public func tryLock(shared: Bool = false) throws(SystemCallError) -> Bool {
        let raw = raw
        let kind = shared ? LOCK_SH : LOCK_EX
        return try unlessItWouldBlock("flock", name) { flock(raw, kind | LOCK_NB) } != nil
    }
}
