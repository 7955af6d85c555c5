internal import CLinuxShims
internal import Glibc

/// A network namespace of our own: no other process can be in it, and it goes with this value, or
/// with the process, however that ends (its last descriptor closes).
///
/// Namespaces belong to threads. `enter` takes the calling thread in and out again; sockets,
/// devices and files of /proc/thread-self/net opened inside stay bound to the namespace.
public struct NetworkNamespace: ~Copyable, Sendable {
    private static let current = "/proc/thread-self/ns/net"

    private let home: FileDescriptor
    private let own: FileDescriptor

    /// Makes an empty namespace: a loopback device, down.
    ///
    /// - Throws: `EPERM` without CAP_SYS_ADMIN.
    public init() throws(SystemCallError) {
        let left = try FileDescriptor(opening: Self.current, for: .read)
        try checked("unshare", "(network)") { ctlab_unshare_network() }
        let made: FileDescriptor
        do throws(SystemCallError) {
            made = try FileDescriptor(opening: Self.current, for: .read)
        } catch {
            Self.move(to: left)
            throw error
        }
        Self.move(to: left)
        home = left
        own = made
    }

    /// Runs `body` with the calling thread inside the namespace.
    ///
    /// `body` is synchronous, so the thread cannot change under it. Programs it starts are inside
    /// as well.
    public func enter<Value: ~Copyable, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        Self.move(to: own)
        defer { Self.move(to: home) }
        return try body()
    }

    /// Never fails with a descriptor that is a namespace, held by a thread that could leave it;
    /// and were it to fail, nothing that follows would happen where it should.
    private static func move(to namespace: borrowing FileDescriptor) {
        precondition(
            ctlab_enter_network(namespace.raw) == 0,
            "cannot change the thread's network namespace: found errno \(ctlab_errno()), "
                + "expected a thread with CAP_SYS_ADMIN")
    }
}
