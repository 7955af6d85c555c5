internal import CLinuxShims
internal import Glibc

/// The packet ends of tun devices, numbered from 0 in the order they were made.
///
/// What is written arrives at the machine from outside, what is read is what the machine sent. The
/// devices go with their namespace.
///
/// The kernel takes a written packet all the way through its path before `write` returns.
public struct TunDevices: ~Copyable, Sendable {
    public let names: [String]
    private let descriptors: [Int32]

    /// Makes the devices in the calling thread's network namespace; they start down.
    ///
    /// A name has at most 15 bytes; a longer one is cut by the kernel's interface.
    public init(named names: [String]) throws(SystemCallError) {
        var opened: [Int32] = []
        do throws(SystemCallError) {
            for name in names { opened.append(try Self.make(name)) }
        } catch {
            for descriptor in opened { _ = close(descriptor) }
            throw error
        }
        self.names = names
        descriptors = opened
    }

    deinit {
        for descriptor in descriptors { _ = close(descriptor) }
    }

    private static func make(_ name: String) throws(SystemCallError) -> Int32 {
        let path = "/dev/net/tun"
        let raw = try checked("open", path) { unsafe open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) }
        do throws(SystemCallError) {
            try checked("ioctl TUNSETIFF", name) { unsafe ctlab_attach_tun(raw, name) }
            try checked("ioctl TUNSETPERSIST", name) { ctlab_leave_tun_to_namespace(raw) }
            return raw
        } catch {
            _ = close(raw)
            throw error
        }
    }

    /// Hands the machine one packet by device `index`.
    ///
    /// - Returns: Whether the device took it; it refuses what is too short for an IP header or has
    ///   a version other than 4 and 6.
    public func write(
        _ packet: borrowing Span<UInt8>, to index: Int
    ) throws(SystemCallError) -> Bool {
        let descriptor = descriptors[index]
        do throws(SystemCallError) {
            try checked("write", names[index]) {
                unsafe packet.withUnsafeBytes {
                    unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
                }
            }
            return true
        } catch {
            guard error.isInvalidArgument else { throw error }
            return false
        }
    }

    /// The next packet the machine sent by device `index`, into `buffer`: its byte count, or `nil`
    /// if there is none.
    public func read(
        from index: Int, into buffer: inout [UInt8]
    ) throws(SystemCallError) -> Int? {
        let descriptor = descriptors[index]
        return try unlessItWouldBlock("read", names[index]) {
            unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
        }
    }
}
