internal import Wire

/// The settings `net.netfilter.nf_conntrack_*` of one machine, with the defaults of Linux 6.18
/// (spec protocols.md §12).
///
/// Times are whole seconds, as the files hold them.
public struct Sysctl: Sendable, Hashable {
    /// `nf_conntrack_max`: entries per namespace; 0 is no limit.
    public var max: UInt32 = 262_144
    /// `nf_conntrack_buckets`: rounded up to a multiple of 512.
    public var buckets: UInt32 = 262_144
    public var expectMax: UInt32 = 4096
    public var checksum: Bool = true
    /// 0 none, 255 all, or one protocol number.
    public var logInvalid: UInt8 = 0
    public var accounting: Bool = false
    public var timestamp: Bool = false
    /// 0 off, 1 always, 2 only while somebody listens.
    public var events: UInt8 = 2

    public var genericTimeout: UInt32 = 600
    public var icmpTimeout: UInt32 = 30
    public var icmpv6Timeout: UInt32 = 30
    public var udpTimeout: UInt32 = 30
    public var udpTimeoutStream: UInt32 = 120
    public var greTimeout: UInt32 = 30
    public var greTimeoutStream: UInt32 = 180
    /// closed, cookie_wait, cookie_echoed, established, shutdown_sent, shutdown_recd,
    /// shutdown_ack_sent, heartbeat_sent.
    public var sctpTimeouts: [UInt32] = [10, 3, 3, 210, 3, 3, 3, 30]
    /// syn_sent, syn_recv, established, fin_wait, close_wait, last_ack, time_wait, close.
    public var tcpTimeouts: [UInt32] = [120, 60, 432_000, 120, 60, 30, 120, 10]
    public var tcpTimeoutMaxRetrans: UInt32 = 300
    public var tcpTimeoutUnacknowledged: UInt32 = 300
    public var tcpMaxRetrans: UInt8 = 3
    public var tcpLoose: Bool = true
    public var tcpBeLiberal: Bool = false
    public var tcpIgnoreInvalidRST: Bool = false
    public var frag6Timeout: UInt32 = 60
    public var frag6HighThreshold: UInt32 = 4_194_304
    public var frag6LowThreshold: UInt32 = 3_145_728
    /// `net.ipv4.ipfrag_time`.
    public var ipfragTime: UInt32 = 30
    /// `net.ipv4.icmp_ratelimit` and `net.ipv6.icmp.ratelimit`: milliseconds between two ICMP errors
    /// to an address; 0 is no limit.
    public var icmpRateLimit: UInt32 = 1000
    public var icmpv6RateLimit: UInt32 = 1000
    /// `net.ipv4.icmp_ratemask`: the ICMP types that are limited, a bit each.
    public var icmpRateMask: UInt32 = 6168
    /// `net.core.message_burst` and `net.core.message_cost` (seconds): the kernel-log limiter.
    public var messageBurst: UInt32 = 10
    public var messageCost: UInt32 = 5

    public init() {}

    /// The bucket count in force: `buckets` rounded up to a multiple of 512 (spec table.md §5).
    public var roundedBuckets: UInt32 {
        UInt32(min((UInt64(buckets) + 511) / 512 * 512, 1 << 28))
    }
}

/// Why a setting was refused.
public enum SysctlError: Error, Sendable, Hashable {
    /// Not a conntrack setting this profile has. `suggestion` is the nearest name, if any is near.
    case unknown(name: String, suggestion: String?)
    case readOnly(name: String)
    /// `limits` says what is accepted: "a number from 0 to 255".
    case badValue(name: String, found: String, expected: String)
    /// The setting belongs to the other kernel profile.
    case otherProfile(name: String, profile: String)
}

extension Sysctl {
    private enum Cell {
        case number(WritableKeyPath<Sysctl, UInt32>, ClosedRange<UInt32>)
        case byte(WritableKeyPath<Sysctl, UInt8>, ClosedRange<UInt32>)
        case flag(WritableKeyPath<Sysctl, Bool>)
        case timeout(WritableKeyPath<Sysctl, UInt32>)
        case tcp(Int)
        case sctp(Int)
    }

    private static let anyNumber: ClosedRange<UInt32> = 0...UInt32(Int32.max)
    private static let netfilterPrefix = "net.netfilter.nf_conntrack_"

    private static func cell(named name: String) -> Cell? {
        let tcpNames = [
            "syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack",
            "time_wait", "close",
        ]
        let sctpNames = [
            "closed", "cookie_wait", "cookie_echoed", "established", "shutdown_sent",
            "shutdown_recd", "shutdown_ack_sent", "heartbeat_sent",
        ]
        if name.hasPrefix("tcp_timeout_"),
            let index = tcpNames.firstIndex(of: String(name.dropFirst("tcp_timeout_".count)))
        {
            return .tcp(index)
        }
        if name.hasPrefix("sctp_timeout_"),
            let index = sctpNames.firstIndex(of: String(name.dropFirst("sctp_timeout_".count)))
        {
            return .sctp(index)
        }
        switch name {
        case "max": return .number(\.max, 0...UInt32(Int32.max))
        case "buckets": return .number(\.buckets, 1...(1 << 28))
        case "expect_max": return .number(\.expectMax, 1...UInt32(Int32.max))
        case "checksum": return .flag(\.checksum)
        case "log_invalid": return .byte(\.logInvalid, 0...255)
        case "acct": return .flag(\.accounting)
        case "timestamp": return .flag(\.timestamp)
        case "events": return .byte(\.events, 0...2)
        case "generic_timeout": return .timeout(\.genericTimeout)
        case "icmp_timeout": return .timeout(\.icmpTimeout)
        case "icmpv6_timeout": return .timeout(\.icmpv6Timeout)
        case "udp_timeout": return .timeout(\.udpTimeout)
        case "udp_timeout_stream": return .timeout(\.udpTimeoutStream)
        case "gre_timeout": return .timeout(\.greTimeout)
        case "gre_timeout_stream": return .timeout(\.greTimeoutStream)
        case "tcp_timeout_max_retrans": return .timeout(\.tcpTimeoutMaxRetrans)
        case "tcp_timeout_unacknowledged":
            return .timeout(\.tcpTimeoutUnacknowledged)
        case "tcp_max_retrans": return .byte(\.tcpMaxRetrans, 0...255)
        case "tcp_loose": return .flag(\.tcpLoose)
        case "tcp_be_liberal": return .flag(\.tcpBeLiberal)
        case "tcp_ignore_invalid_rst": return .flag(\.tcpIgnoreInvalidRST)
        case "frag6_timeout": return .timeout(\.frag6Timeout)
        case "frag6_high_thresh": return .number(\.frag6HighThreshold, 0...UInt32.max)
        case "frag6_low_thresh": return .number(\.frag6LowThreshold, 0...UInt32.max)
        default: return nil
        }
    }

    /// Every name `set` takes, without the `net.netfilter.nf_conntrack_` prefix.
    public static let names: [String] = [
        "max", "buckets", "expect_max", "checksum", "log_invalid", "acct", "timestamp", "events",
        "generic_timeout", "icmp_timeout", "icmpv6_timeout", "udp_timeout", "udp_timeout_stream",
        "gre_timeout", "gre_timeout_stream", "tcp_timeout_syn_sent", "tcp_timeout_syn_recv",
        "tcp_timeout_established", "tcp_timeout_fin_wait", "tcp_timeout_close_wait",
        "tcp_timeout_last_ack", "tcp_timeout_time_wait", "tcp_timeout_close",
        "tcp_timeout_max_retrans", "tcp_timeout_unacknowledged", "tcp_max_retrans", "tcp_loose",
        "tcp_be_liberal", "tcp_ignore_invalid_rst", "sctp_timeout_closed",
        "sctp_timeout_cookie_wait", "sctp_timeout_cookie_echoed", "sctp_timeout_established",
        "sctp_timeout_shutdown_sent", "sctp_timeout_shutdown_recd",
        "sctp_timeout_shutdown_ack_sent", "sctp_timeout_heartbeat_sent", "frag6_timeout",
        "frag6_high_thresh", "frag6_low_thresh",
    ]

    /// Sets one value by its kernel name, with or without the `net.netfilter.` prefix.
    ///
    /// Names outside conntrack that the model knows: `net.ipv4.ipfrag_time`,
    /// `net.ipv4.icmp_ratelimit`, `net.ipv4.icmp_ratemask`, `net.ipv6.icmp.ratelimit`,
    /// `net.core.message_burst`, `net.core.message_cost`, `net.nf_conntrack_max`.
    ///
    /// Timeouts are kept in ticks of `tickRate`, which limits them. Numbers may be written as the
    /// kernel takes them: hexadecimal with `0x`, octal with a `0` in front.
    public mutating func set(
        _ name: String, to value: String, tickRate: TickRate = .reference
    ) throws(SysctlError) {
        let seconds = 0...UInt32(Int32.max) / tickRate.hertz
        switch name {
        case "net.ipv4.ipfrag_time":
            ipfragTime = try Self.number(name, value, seconds)
            return
        case "net.ipv4.icmp_ratelimit":
            icmpRateLimit = try Self.number(name, value, Self.anyNumber)
            return
        case "net.ipv4.icmp_ratemask":
            icmpRateMask = try Self.number(name, value, 0...UInt32.max)
            return
        case "net.ipv6.icmp.ratelimit":
            icmpv6RateLimit = try Self.number(name, value, Self.anyNumber)
            return
        case "net.core.message_burst":
            messageBurst = try Self.number(name, value, Self.anyNumber)
            return
        case "net.core.message_cost":
            messageCost = try Self.number(name, value, seconds)
            return
        default: break
        }
        var short = name
        for prefix in [Self.netfilterPrefix, "net.nf_conntrack_", "nf_conntrack_"]
        where short.hasPrefix(prefix) {
            short = String(short.dropFirst(prefix.count))
            break
        }
        if short == "count" { throw .readOnly(name: name) }
        if short.hasPrefix("dccp_") { throw .otherProfile(name: name, profile: "6.12") }
        guard short != name, let cell = Self.cell(named: short) else {
            throw .unknown(name: name, suggestion: Self.nearestName(to: short))
        }
        switch cell {
        case .number(let path, let range): self[keyPath: path] = try Self.number(name, value, range)
        case .byte(let path, let range):
            self[keyPath: path] = UInt8(try Self.number(name, value, range))
        case .flag(let path): self[keyPath: path] = try Self.number(name, value, 0...1) == 1
        case .timeout(let path): self[keyPath: path] = try Self.number(name, value, seconds)
        case .tcp(let index): tcpTimeouts[index] = try Self.number(name, value, seconds)
        case .sctp(let index): sctpTimeouts[index] = try Self.number(name, value, seconds)
        }
    }

    /// The value in force under a kernel name, or `nil` where `set` would not know the name.
    public func value(of name: String) -> UInt32? {
        var short = name
        if short.hasPrefix(Self.netfilterPrefix) {
            short = String(short.dropFirst(Self.netfilterPrefix.count))
        }
        switch Self.cell(named: short) {
        case .number(let path, _), .timeout(let path): return self[keyPath: path]
        case .byte(let path, _): return UInt32(self[keyPath: path])
        case .flag(let path): return self[keyPath: path] ? 1 : 0
        case .tcp(let index): return tcpTimeouts[index]
        case .sctp(let index): return sctpTimeouts[index]
        case nil: return nil
        }
    }

    private static func number(
        _ name: String, _ value: String, _ range: ClosedRange<UInt32>
    ) throws(SysctlError) -> UInt32 {
        guard let number = number(value), range.contains(number) else {
            throw .badValue(
                name: name, found: value,
                expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func number(_ text: String) -> UInt32? {
        guard !text.contains("+") else { return nil }
        guard text.utf8.first == UInt8(ascii: "0"), text.utf8.count > 1 else { return UInt32(text) }
        let digits = text.dropFirst()
        let isHexadecimal = digits.first == "x" || digits.first == "X"
        return isHexadecimal
            ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits, radix: 8)
    }

    /// The known name nearest to `word` by edit distance, if it is near enough to be a typo.
    private static func nearestName(to word: String) -> String? {
        let candidate = names.min { left, right in
            EditDistance.between(left, word) < EditDistance.between(right, word)
        }
        guard let candidate, EditDistance.between(candidate, word) <= Swift.max(2, word.count / 4)
        else {
            return nil
        }
        return netfilterPrefix + candidate
    }

}
