internal import CLinuxShims
internal import Glibc

/// A netlink socket in the network namespace its making thread was in.
public struct NetlinkSocket: ~Copyable, Sendable {
    /// The netlink protocols in use here, with the kernel's numbers.
    public enum Family: Int32, Sendable {
        case netfilter = 12
    }

    private let descriptor: FileDescriptor

    /// - Parameter receiveBufferByteCount: How much the kernel may queue before messages are lost
    ///   and `receive` says so.
    public init(
        _ family: Family, receiveBufferByteCount: Int32 = 4 << 20
    ) throws(SystemCallError) {
        let raw = try checked("socket", "netlink") { ctlab_netlink_socket(family.rawValue) }
        let socket = FileDescriptor(owning: raw, name: "netlink")
        try checked("bind", "netlink") { ctlab_netlink_bind(raw) }
        try checked("setsockopt", "SO_RCVBUFFORCE") {
            ctlab_force_receive_buffer(raw, receiveBufferByteCount)
        }
        descriptor = socket
    }

    /// Subscribes to a multicast group.
    public func join(group: Int32) throws(SystemCallError) {
        let raw = descriptor.raw
        try checked("setsockopt", "NETLINK_ADD_MEMBERSHIP") { ctlab_netlink_join(raw, group) }
    }

    public func send(_ message: borrowing Span<UInt8>) throws(SystemCallError) {
        let raw = descriptor.raw
        try checked("sendto", "netlink") {
            unsafe message.withUnsafeBytes {
                unsafe ctlab_netlink_send(raw, $0.baseAddress, $0.count)
            }
        }
    }

    /// The next datagram (one or more messages) into `buffer`: its byte count, or `nil` if none
    /// is there and `waiting` is false.
    ///
    /// - Throws: `isOverrun` once after messages were lost.
    public func receive(
        into buffer: inout [UInt8], waiting: Bool = false
    ) throws(SystemCallError) -> Int? {
        let raw = descriptor.raw
        return try unlessItWouldBlock("recv", "netlink") {
            unsafe buffer.withUnsafeMutableBytes {
                unsafe recv(raw, $0.baseAddress, $0.count, waiting ? 0 : Int32(MSG_DONTWAIT))
            }
        }
    }
}
