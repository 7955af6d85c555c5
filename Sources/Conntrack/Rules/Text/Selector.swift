internal import Wire

/// A field as rule text names it: with its type, and with the layers it only makes sense on.
struct Selector: Sendable, Hashable {
    var field: Field
    var type: DataType
    /// The network protocol the field belongs to; nft adds the check where the table leaves it
    /// open.
    var network: Family? = nil
    /// The transport protocol the field belongs to; nft adds the check.
    var transport: UInt8? = nil
    /// Whether the field itself tells the transport protocol (`ip protocol`, `meta l4proto`).
    var tellsTransport: Bool { field == .transportProtocol }
    /// How rule text names it.
    var name: String
    /// `ct original saddr` without `ip` or `ip6`: the table or the rule must tell which.
    var leavesFamilyOpen = false

    init(
        _ name: String, _ field: Field, _ type: DataType, network: Family? = nil,
        transport: UInt8? = nil
    ) {
        self.name = name
        self.field = field
        self.type = type
        self.network = network
        self.transport = transport
    }
}

extension Selector {
    /// The words that may follow a protocol or `meta`, with what they select.
    static func keys(after word: String) -> [(key: String, selector: Selector)]? {
        switch word {
        case "meta": metaKeys
        case "ip": ipKeys
        case "ip6": ip6Keys
        case "tcp": ports("tcp", IPProtocol.tcp) + tcpKeys
        case "udp": ports("udp", IPProtocol.udp)
        case "udplite": ports("udplite", IPProtocol.udpLite)
        case "sctp": ports("sctp", IPProtocol.sctp)
        case "th": ports("th", nil)
        case "icmp": icmpKeys
        case "icmpv6": icmpv6Keys
        default: nil
        }
    }

    static let sourceType = Selector("fib saddr type", .sourceType, .addressType)
    static let destinationType = Selector("fib daddr type", .destinationType, .addressType)

    /// Keys of `meta` that also stand alone.
    static let bareMetaKeys = ["iif", "oif", "iifname", "oifname", "mark"]

    private static let metaKeys: [(key: String, selector: Selector)] = [
        ("iifname", Selector("iifname", .inInterface, .interfaceName)),
        ("oifname", Selector("oifname", .outInterface, .interfaceName)),
        ("iif", Selector("iif", .inInterface, .interfaceIndex)),
        ("oif", Selector("oif", .outInterface, .interfaceIndex)),
        ("l4proto", Selector("meta l4proto", .transportProtocol, .transportProtocol)),
        ("nfproto", Selector("meta nfproto", .family, .networkProtocol)),
        ("protocol", Selector("meta protocol", .etherType, .etherType)),
        ("mark", Selector("meta mark", .packetMark, .mark)),
        ("length", Selector("meta length", .length, .integer32)),
    ]

    private static let ipKeys: [(key: String, selector: Selector)] = [
        ("saddr", Selector("ip saddr", .source, .ipv4Address, network: .ipv4)),
        ("daddr", Selector("ip daddr", .destination, .ipv4Address, network: .ipv4)),
        (
            "protocol",
            Selector("ip protocol", .transportProtocol, .transportProtocol, network: .ipv4)
        ),
        ("ttl", Selector("ip ttl", .timeToLive, .integer8, network: .ipv4)),
        ("dscp", Selector("ip dscp", .dscp, .dscp, network: .ipv4)),
    ]

    /// `nexthdr` reads the transport protocol: the model does not keep the first extension
    /// header, which is what the kernel reads where a packet has one.
    private static let ip6Keys: [(key: String, selector: Selector)] = [
        ("saddr", Selector("ip6 saddr", .source, .ipv6Address, network: .ipv6)),
        ("daddr", Selector("ip6 daddr", .destination, .ipv6Address, network: .ipv6)),
        (
            "nexthdr",
            Selector("ip6 nexthdr", .transportProtocol, .transportProtocol, network: .ipv6)
        ),
        ("hoplimit", Selector("ip6 hoplimit", .timeToLive, .integer8, network: .ipv6)),
        ("dscp", Selector("ip6 dscp", .dscp, .dscp, network: .ipv6)),
    ]

    private static let tcpKeys: [(key: String, selector: Selector)] = [
        ("flags", Selector("tcp flags", .tcpFlags, .tcpFlags, transport: IPProtocol.tcp))
    ]

    private static let icmpKeys: [(key: String, selector: Selector)] = [
        (
            "type",
            Selector(
                "icmp type", .icmpType, .icmpType, network: .ipv4, transport: IPProtocol.icmp)
        ),
        (
            "code",
            Selector(
                "icmp code", .icmpCode, .icmpCode, network: .ipv4, transport: IPProtocol.icmp)
        ),
    ]

    private static let icmpv6Keys: [(key: String, selector: Selector)] = [
        (
            "type",
            Selector(
                "icmpv6 type", .icmpType, .icmpv6Type, network: .ipv6,
                transport: IPProtocol.icmpv6)
        ),
        (
            "code",
            Selector(
                "icmpv6 code", .icmpCode, .icmpv6Code, network: .ipv6,
                transport: IPProtocol.icmpv6)
        ),
    ]

    private static func ports(
        _ name: String, _ transport: UInt8?
    ) -> [(key: String, selector: Selector)] {
        [
            (
                "sport", Selector("\(name) sport", .sourcePort, .port, transport: transport)
            ),
            (
                "dport",
                Selector("\(name) dport", .destinationPort, .port, transport: transport)
            ),
        ]
    }

    /// Keys of `ct` that need no direction.
    static let connectionKeys: [(key: String, selector: Selector)] = [
        ("state", Selector("ct state", .state, .connectionState)),
        ("direction", Selector("ct direction", .direction, .connectionDirection)),
        ("status", Selector("ct status", .status, .connectionStatus)),
        ("mark", Selector("ct mark", .connectionMark, .mark)),
        ("expiration", Selector("ct expiration", .expiration, .duration)),
        ("zone", Selector("ct zone", .zone, .integer16)),
        ("label", Selector("ct label", .labels, .connectionLabel)),
        ("helper", Selector("ct helper", .helper, .helperName)),
        ("packets", Selector("ct packets", .packets, .integer64)),
        ("bytes", Selector("ct bytes", .bytes, .integer64)),
    ]

    /// Keys of `ct original`.
    static let originalKeys: [(key: String, selector: Selector)] = [
        ("ip saddr", Selector("ct original ip saddr", .originalSource4, .ipv4Address)),
        ("ip daddr", Selector("ct original ip daddr", .originalDestination4, .ipv4Address)),
        ("ip6 saddr", Selector("ct original ip6 saddr", .originalSource6, .ipv6Address)),
        ("ip6 daddr", Selector("ct original ip6 daddr", .originalDestination6, .ipv6Address)),
        ("proto-src", Selector("ct original proto-src", .originalSourcePart, .port)),
        ("proto-dst", Selector("ct original proto-dst", .originalDestinationPart, .port)),
        ("packets", Selector("ct original packets", .packetsOriginal, .integer64)),
        ("bytes", Selector("ct original bytes", .bytesOriginal, .integer64)),
        ("zone", Selector("ct original zone", .zoneOriginal, .integer16)),
    ]

    /// Keys of `ct reply`.
    static let replyKeys: [(key: String, selector: Selector)] = [
        ("ip saddr", Selector("ct reply ip saddr", .replySource4, .ipv4Address)),
        ("ip daddr", Selector("ct reply ip daddr", .replyDestination4, .ipv4Address)),
        ("ip6 saddr", Selector("ct reply ip6 saddr", .replySource6, .ipv6Address)),
        ("ip6 daddr", Selector("ct reply ip6 daddr", .replyDestination6, .ipv6Address)),
        ("proto-src", Selector("ct reply proto-src", .replySourcePart, .port)),
        ("proto-dst", Selector("ct reply proto-dst", .replyDestinationPart, .port)),
        ("packets", Selector("ct reply packets", .packetsReply, .integer64)),
        ("bytes", Selector("ct reply bytes", .bytesReply, .integer64)),
        ("zone", Selector("ct reply zone", .zoneReply, .integer16)),
    ]
}
