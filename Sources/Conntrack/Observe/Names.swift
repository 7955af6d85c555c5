import Wire

// The words the kernel and the conntrack tool use for protocols and their states. Every text the
// project prints takes them from here (spec formats.md §1).

/// Names of protocols, as listings, events and packet dumps print them.
public enum ProtocolName {
    /// The word `conntrack -L` starts a line with.
    ///
    /// What the tool has no name for is `unknown`.
    public static func inTool(_ number: UInt8) -> String {
        number == dccp ? "dccp" : inKernel(number)
    }

    /// The word `/proc/net/nf_conntrack` prints: the name of the kernel's tracker.
    ///
    /// DCCP has none since 6.18, so the kernel says `unknown` where the tool still says `dccp`
    /// (observed on 6.18).
    public static func inKernel(_ number: UInt8) -> String {
        switch number {
        case IPProtocol.icmp: "icmp"
        case IPProtocol.tcp: "tcp"
        case IPProtocol.udp: "udp"
        case IPProtocol.gre: "gre"
        case IPProtocol.icmpv6: "icmpv6"
        case IPProtocol.sctp: "sctp"
        case IPProtocol.udpLite: "udplite"
        default: "unknown"
        }
    }

    static let dccp: UInt8 = 33
}

/// What a protocol's part of a tuple consists of, as far as the tool prints it.
enum TuplePartKind {
    case ports, icmp, keys, nothing

    init(_ protocolNumber: UInt8) {
        switch protocolNumber {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.udpLite, IPProtocol.sctp,
            ProtocolName.dccp:
            self = .ports
        case IPProtocol.icmp, IPProtocol.icmpv6: self = .icmp
        case IPProtocol.gre: self = .keys
        default: self = .nothing
        }
    }
}

/// Names of protocol states by the kernel's numbers.
public enum StateName {
    private static let tcpNames = [
        "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
        "TIME_WAIT", "CLOSE", "SYN_SENT2",
    ]

    private static let sctpNames = [
        "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
        "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT",
    ]

    /// `NONE` for a number that is no TCP state.
    public static func tcp(_ state: UInt8) -> String {
        state < tcpNames.count ? tcpNames[Int(state)] : tcpNames[0]
    }

    /// `NONE` for a number that is no SCTP state.
    public static func sctp(_ state: UInt8) -> String {
        state < sctpNames.count ? sctpNames[Int(state)] : sctpNames[0]
    }

    /// The state word of a line, or `nil` for protocols without one.
    static func word(_ protocolNumber: UInt8, _ state: UInt8) -> String? {
        switch protocolNumber {
        case IPProtocol.tcp: tcp(state)
        case IPProtocol.sctp: sctp(state)
        default: nil
        }
    }
}
