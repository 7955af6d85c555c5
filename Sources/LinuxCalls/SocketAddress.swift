internal import CLinuxShims
internal import Glibc
public import Wire

/// Where a socket is, or should be: an address and a port.
public struct SocketAddress: Sendable, Hashable, BitwiseCopyable, CustomStringConvertible {
    public var family: Family
    public var address: Address
    public var port: UInt16

    public init(_ family: Family, _ address: Address, port: UInt16) {
        self.family = family
        self.address = address
        self.port = port
    }

    /// `127.0.0.1:80`, `[::1]:80`.
    public var description: String {
        let text = address.text(family)
        return family == .ipv4 ? "\(text):\(port)" : "[\(text)]:\(port)"
    }

    var endpoint: ctlab_endpoint {
        ctlab_endpoint(
            high: address.high, low: address.low, port: port, family: UInt16(family.rawValue))
    }

    init(_ endpoint: ctlab_endpoint) {
        family = endpoint.family == UInt16(AF_INET6) ? .ipv6 : .ipv4
        address = Address(high: endpoint.high, low: endpoint.low)
        port = endpoint.port
    }
}

/// The calls a socket's life is made of.
public enum SocketCall: UInt8, Sendable, CaseIterable, Codable, BitwiseCopyable {
    case socket, option, bind, listen, connect, watch, send, receive, accept, close

    /// The system call's own name.
    public var name: String {
        switch self {
        case .option: "setsockopt"
        case .watch: "epoll_ctl"
        case .receive: "recv"
        default: "\(self)"
        }
    }
}

/// A socket call that failed, as numbers: failures by the thousand cost nothing to pass on.
///
/// Whoever knows the peer makes a sentence of it: `error(with:)`.
public struct SocketFailure: Error, Sendable, Hashable, Codable, BitwiseCopyable {
    public let call: SocketCall
    /// `errno`.
    public let code: Int32

    public init(_ call: SocketCall, _ code: Int32) {
        self.call = call
        self.code = code
    }

    /// The failure with the peer it happened with: `connect 10.0.0.2:80: Connection refused`.
    public func error(with peer: SocketAddress) -> SystemCallError {
        SystemCallError(call: "\(call.name) \(peer)", code: code)
    }

    /// The system's own words for `code`.
    public var reason: String { SystemCallError(call: call.name, code: code).reason }

    /// This process, or the machine, has no descriptor left.
    public var isOutOfDescriptors: Bool { code == EMFILE || code == ENFILE }
    /// No source port is left for the destination.
    public var isOutOfPorts: Bool { code == EADDRNOTAVAIL && call == .connect }
    /// The address to come from is not this machine's.
    public var isForeignSource: Bool { code == EADDRNOTAVAIL && call == .bind }
    public var isOutOfMemory: Bool { code == ENOMEM || code == ENOBUFS }
    public var isRefused: Bool { code == ECONNREFUSED }
    public var isTimeout: Bool { code == ETIMEDOUT }
    /// A rule, or a full table, of this very machine took the packet.
    public var isForbidden: Bool { code == EPERM && !isUnpermitted }
    /// This process lacks a right: no packet had a part in it.
    public var isUnpermitted: Bool { code == EPERM && [.socket, .option, .bind].contains(call) }
    public var isUnreachable: Bool { code == ENETUNREACH || code == EHOSTUNREACH }
    public var isPortInUse: Bool { code == EADDRINUSE }
    public var isReset: Bool { code == ECONNRESET || code == EPIPE }

    /// An attempt that nobody answered in time.
    public static let timedOut = SocketFailure(.connect, ETIMEDOUT)
    /// A question that nobody answered in time.
    public static let unanswered = SocketFailure(.receive, ETIMEDOUT)
    /// A peer that hung up before its turn.
    public static let hungUp = SocketFailure(.receive, ECONNRESET)
}

/// Runs a socket call until it is not interrupted; -1 becomes a failure.
@inline(__always)
func socketCall(_ call: SocketCall, _ body: () -> Int32) throws(SocketFailure) -> Int32 {
    while true {
        let value = body()
        if value != -1 { return value }
        let code = ctlab_errno()
        if code != EINTR { throw SocketFailure(call, code) }
    }
}

/// Names to addresses, by the system's resolver.
public enum NameResolver {
    /// Every address of `name`, in the resolver's order and each once.
    ///
    /// - Throws: The resolver's own words where there is none.
    public static func addresses(of name: String) throws(NameError) -> [(Family, Address)] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(name, nil, &hints, &list)
        guard code == 0 else {
            throw NameError(name: name, reason: unsafe String(cString: gai_strerror(code)))
        }
        defer { unsafe freeaddrinfo(list) }
        var found: [(Family, Address)] = []
        var entry = unsafe list
        while let current = unsafe entry {
            if let address = unsafe current.pointee.ai_addr.map({ unsafe Self.read($0) }) {
                let isNew = !found.contains { $0.0 == address.0 && $0.1 == address.1 }
                if isNew { found.append(address) }
            }
            unsafe entry = unsafe current.pointee.ai_next
        }
        return found
    }

    private static func read(_ name: UnsafeMutablePointer<sockaddr>) -> (Family, Address) {
        let endpoint = unsafe ctlab_read_name(name)
        let address = SocketAddress(endpoint)
        return (address.family, address.address)
    }
}

/// A name that leads nowhere.
public struct NameError: Error, Sendable, CustomStringConvertible {
    public var name: String
    public var reason: String

    public init(name: String, reason: String) {
        self.name = name
        self.reason = reason
    }

    public var description: String { "\(name): \(reason)" }
}
