internal import Wire

/// What a value of a rule means.
///
/// How wide it is, which words stand for which numbers, what a set of such values is called:
/// names and numbers are nftables' own (`nft describe`, 1.0.6).
enum DataType: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case ipv4Address, ipv6Address, port, transportProtocol, networkProtocol, etherType, mark
    case interfaceName, interfaceIndex
    case icmpType, icmpv6Type, icmpCode, icmpv6Code
    case connectionState, connectionStatus, connectionDirection
    case connectionLabel, helperName
    case tcpFlags, dscp, duration, addressType
    case integer8, integer16, integer32, integer64

    /// The word after `type` in a set; `nil` for types a set can only get through `typeof`.
    var keyword: String? {
        switch self {
        case .ipv4Address: "ipv4_addr"
        case .ipv6Address: "ipv6_addr"
        case .port: "inet_service"
        case .transportProtocol: "inet_proto"
        case .networkProtocol: "nf_proto"
        case .etherType: "ether_type"
        case .mark: "mark"
        case .interfaceName: "ifname"
        case .interfaceIndex: "iface_index"
        case .icmpType: "icmp_type"
        case .icmpv6Type: "icmpv6_type"
        case .icmpCode: "icmp_code"
        case .icmpv6Code: "icmpv6_code"
        case .connectionState: "ct_state"
        case .connectionStatus: "ct_status"
        case .connectionDirection: "ct_dir"
        case .connectionLabel: "ct_label"
        case .tcpFlags: "tcp_flag"
        case .dscp: "dscp"
        case .addressType: "fib_addrtype"
        case .helperName, .duration, .integer8, .integer16, .integer32, .integer64: nil
        }
    }

    /// How a message calls a value of the type.
    var description: String {
        switch self {
        case .ipv4Address: "an IPv4 address"
        case .ipv6Address: "an IPv6 address"
        case .port: "a port number or service name"
        case .transportProtocol: "a protocol number or name"
        case .networkProtocol: "ipv4 or ipv6"
        case .etherType: "ip or ip6"
        case .mark: "a mark"
        case .interfaceName: "an interface name"
        case .interfaceIndex: "the name of one of the node's interfaces"
        case .icmpType: "an ICMP type"
        case .icmpv6Type: "an ICMPv6 type"
        case .icmpCode: "an ICMP code"
        case .icmpv6Code: "an ICMPv6 code"
        case .connectionState: "a conntrack state"
        case .connectionStatus: "a conntrack status"
        case .connectionDirection: "original or reply"
        case .connectionLabel: "a label, a number from 0 to 127"
        case .helperName: "the name of a helper"
        case .tcpFlags: "a TCP flag"
        case .dscp: "a DSCP class"
        case .addressType: "an address type"
        case .duration: "a time such as 30s or 1h5m"
        case .integer8, .integer16, .integer32, .integer64: "a number"
        }
    }

    var bitCount: Int {
        switch self {
        case .ipv4Address, .mark, .interfaceIndex, .connectionState, .connectionStatus,
            .duration, .addressType, .integer32:
            32
        case .ipv6Address, .interfaceName, .connectionLabel: 128
        case .port, .etherType, .integer16: 16
        case .transportProtocol, .networkProtocol, .icmpType, .icmpv6Type, .icmpCode,
            .icmpv6Code, .connectionDirection, .helperName, .tcpFlags, .integer8:
            8
        case .dscp: 6
        case .integer64: 64
        }
    }

    /// The largest number of the type.
    var maximum: Address {
        switch bitCount {
        case 128: Address(high: .max, low: .max)
        case 64: Address(high: 0, low: .max)
        case let bits: Address(high: 0, low: 1 << UInt64(bits) - 1)
        }
    }

    /// Values are sets of bits: a bare value or list asks "any of these".
    var isBitmask: Bool {
        switch self {
        case .connectionState, .connectionStatus, .connectionLabel, .tcpFlags: true
        default: false
        }
    }

    /// The mask of the `length` highest bits, where the type has that many and prefixes at all.
    func mask(prefix length: Int) -> Address? {
        if let family { return Address.mask(prefix: length, family) }
        guard isNumber, !isBitmask, self != .dscp, length <= bitCount else { return nil }
        let ones = maximum.low
        return Address(length == 0 ? 0 : ones << UInt64(bitCount - length) & ones)
    }

    /// Whether a bare number can be a value of the type.
    var isNumber: Bool {
        switch self {
        case .ipv4Address, .ipv6Address, .interfaceName, .interfaceIndex, .helperName: false
        default: true
        }
    }

    var family: Family? {
        switch self {
        case .ipv4Address: .ipv4
        case .ipv6Address: .ipv6
        default: nil
        }
    }

    /// Bytes the kernel keeps a value of the type in, without padding.
    var byteCount: Int { (bitCount + 7) / 8 }

    static func address(_ family: Family) -> DataType {
        family == .ipv4 ? .ipv4Address : .ipv6Address
    }

    static func named(_ keyword: String) -> DataType? {
        allCases.first { $0.keyword == keyword }
    }

    /// Words that stand for numbers of the type.
    var symbols: [(name: String, value: UInt64)] {
        switch self {
        case .port: Vocabulary.services
        case .transportProtocol: Vocabulary.protocols
        case .networkProtocol: [("ipv4", 2), ("ipv6", 10)]
        case .etherType: [("ip", 0x0800), ("arp", 0x0806), ("ip6", 0x86DD), ("vlan", 0x8100)]
        case .icmpType: Vocabulary.icmpTypes
        case .icmpv6Type: Vocabulary.icmpv6Types
        case .icmpCode: Vocabulary.icmpCodes
        case .icmpv6Code: Vocabulary.icmpv6Codes
        case .connectionState: Vocabulary.connectionStates
        case .connectionStatus: Vocabulary.connectionStatus
        case .connectionDirection: [("original", 0), ("reply", 1)]
        case .tcpFlags: Vocabulary.tcpFlags
        case .dscp: Vocabulary.dscp
        case .helperName: HelperKind.allCases.map { ($0.name, UInt64($0.rawValue)) }
        case .addressType: Vocabulary.addressTypes
        case .ipv4Address, .ipv6Address, .mark, .interfaceName, .interfaceIndex,
            .connectionLabel, .duration, .integer8, .integer16, .integer32, .integer64:
            []
        }
    }
}
