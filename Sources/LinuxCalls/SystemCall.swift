internal import CLinuxShims
internal import Glibc

// The one gate of this room: a system call's failure becomes a typed error here, or nowhere.

/// A system call that failed: which one, on what, and why.
public struct SystemCallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call and what it was about: `open /dev/net/tun`.
    public let call: String
    /// `errno`.
    public let code: Int32

    public init(call: String, code: Int32) {
        self.call = call
        self.code = code
    }

    /// The system's own words for `code`.
    public var reason: String { unsafe String(cString: strerror(code)) }

    public var description: String { "\(call): \(reason) (errno \(code))" }

    public var isPermissionMissing: Bool { code == EPERM || code == EACCES || code == EROFS }
    public var isMissing: Bool { code == ENOENT || code == ENODEV || code == ENXIO }
    public var isOutOfDescriptors: Bool { code == EMFILE || code == ENFILE }
    public var isInvalidArgument: Bool { code == EINVAL }
    /// A netlink socket lost messages because nobody read them in time.
    public var isOverrun: Bool { code == ENOBUFS }
    /// The kernel has no such address family.
    public var isMissingFamily: Bool { code == EAFNOSUPPORT || code == EADDRNOTAVAIL }
    /// A line, or a message, beyond what whoever reads it has room for.
    public var isTooLong: Bool { code == EMSGSIZE }
    /// Somebody else holds the lock.
    public var isBusy: Bool { code == EWOULDBLOCK || code == EBUSY }
}

/// Runs a system call until it is not interrupted; -1 becomes an error.
///
/// `about` joins the call's name in the message; it is looked at only after a failure.
@discardableResult
func checked<Value: SignedInteger>(
    _ call: String, _ about: @autoclosure () -> String = "", _ body: () -> Value
) throws(SystemCallError) -> Value {
    while true {
        let value = body()
        if value != -1 { return value }
        let code = ctlab_errno()  // Read at once: the next call may overwrite it.
        if code == EINTR { continue }
        let what = about()
        throw SystemCallError(call: what.isEmpty ? call : "\(call) \(what)", code: code)
    }
}

/// As `checked`, for a descriptor that does not wait: `nil` where it would have to.
func unlessItWouldBlock<Value: SignedInteger>(
    _ call: String, _ about: @autoclosure () -> String = "", _ body: () -> Value
) throws(SystemCallError) -> Value? {
    while true {
        let value = body()
        if value != -1 { return value }
        let code = ctlab_errno()
        if code == EAGAIN || code == EWOULDBLOCK { return nil }
        if code == EINTR { continue }
        let what = about()
        throw SystemCallError(call: what.isEmpty ? call : "\(call) \(what)", code: code)
    }
}
