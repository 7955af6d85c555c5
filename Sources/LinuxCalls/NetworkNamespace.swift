internal import CLinuxShims
internal import Glibc

/// A network namespace: one of our own, or one that has a name.
///
/// In one of our own no other process can be, and it goes with this value, or with the process,
/// however that ends (its last descriptor closes).
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

    /// Opens the namespace that `ip netns` calls `name`.
    ///
    /// - Throws: `EPERM` where the calling thread may not enter it, or could not come back.
    public init(named name: String) throws(SystemCallError) {
        let named = try FileDescriptor(opening: Self.path(ofNamed: name), for: .read)
        let left = try FileDescriptor(opening: Self.current, for: .read)
        // Back first: a thread that may not enter where it is would not get home again.
        let (home, other) = (left.raw, named.raw)
        try checked("setns", "(back from \(name))") { ctlab_enter_network(home) }
        try checked("setns", name) { ctlab_enter_network(other) }
        Self.move(to: left)
        own = named
        self.home = left
    }

    /// Where `ip netns` keeps the namespace `name`.
    public static func path(ofNamed name: String) -> String { "/run/netns/\(name)" }

    /// A number that tells the calling thread's namespace from all others.
    public static func currentNumber() throws(SystemCallError) -> UInt64 {
        try FileDescriptor(opening: current, for: .read).fileNumber()
    }

    /// As `currentNumber`, of the namespace called `name`.
    public static func number(ofNamed name: String) throws(SystemCallError) -> UInt64 {
        try FileDescriptor(opening: path(ofNamed: name), for: .read).fileNumber()
    }

    /// Takes the calling thread in for good.
    public func stay() { Self.move(to: own) }

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

    /// Never fails with a descriptor that is a namespace, entered once by a thread that may; and were
    /// it to fail, nothing that follows would happen where it should.
    private static func move(to namespace: borrowing FileDescriptor) {
        precondition(
            ctlab_enter_network(namespace.raw) == 0,
            "cannot change the thread's network namespace: found errno \(ctlab_errno()), "
                + "expected a thread with CAP_SYS_ADMIN")
    }
}
