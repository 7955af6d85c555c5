/// What a protocol tracker decided about a packet.
///
/// The tracker decides; its caller acts.
struct TrackerResult: BitwiseCopyable {
    enum Action: BitwiseCopyable {
        /// Accept, count the packet and set the timeout.
        case refresh
        /// Accept without counting and without touching the timeout.
        case pass
        /// The packet gets no connection.
        case invalid
        /// Remove the connection and track the packet again from the start.
        case reopen
        /// Accept, count the packet and remove the connection.
        case kill
    }

    var action: Action
    /// New timeout in ticks, for `.refresh`.
    var timeout: UInt32 = 0
    /// For `.invalid`: the remaining life shrinks to this many ticks (two stray FIN or RST).
    var shortenTo: UInt32? = nil
    var setsAssured = false
    var changesProtocolState = false
    var remark: TrackerRemark.Text? = nil
    var secondRemark: TrackerRemark.Text? = nil

    static func invalid(_ remark: TrackerRemark.Text?) -> TrackerResult {
        TrackerResult(action: .invalid, remark: remark)
    }

    static func refresh(_ timeout: UInt32, assured: Bool = false) -> TrackerResult {
        TrackerResult(action: .refresh, timeout: timeout, setsAssured: assured)
    }
}

/// The timeouts and switches of a namespace as the trackers use them: ticks, not seconds.
struct TrackerSettings: Sendable, BitwiseCopyable {
    /// Indexed by state.
    ///
    /// NONE has no timeout of its own; SYN_SENT2 has no sysctl.
    var tcp: InlineArray<10, UInt32>
    var tcpMaxRetrans: UInt32
    var tcpUnacknowledged: UInt32
    var retransmissionLimit: UInt8
    var isLoose: Bool
    var isLiberal: Bool
    var ignoresInvalidRST: Bool
    /// Remaining ticks from which two stray FIN or RST shorten a connection: 120 s.
    var longLife: UInt32
    /// Indexed by state.
    ///
    /// NONE has no timeout.
    var sctp: InlineArray<9, UInt32>
    var udp: UInt32
    var udpStream: UInt32
    /// 2 s: from here on a replied UDP flow is a stream.
    var udpStreamDelay: UInt32
    var icmp: UInt32
    var icmpv6: UInt32
    var generic: UInt32
    var gre: UInt32
    var greStream: UInt32
    var verifiesChecksums: Bool
    /// Linux 6.12: an inexact RST in ESTABLISHED leaves the unacknowledged timeout.
    var keepsUnacknowledgedAfterRST: Bool

    init(_ sysctl: Sysctl, _ rate: TickRate, _ profile: KernelProfile) {
        tcp = InlineArray(repeating: 0)
        for (index, seconds) in sysctl.tcpTimeouts.enumerated() {
            tcp[index + 1] = rate.ticks(seconds: seconds)
        }
        tcp[Int(TCPState.synSent2.rawValue)] = rate.ticks(seconds: 120)
        tcpMaxRetrans = rate.ticks(seconds: sysctl.tcpTimeoutMaxRetrans)
        tcpUnacknowledged = rate.ticks(seconds: sysctl.tcpTimeoutUnacknowledged)
        retransmissionLimit = sysctl.tcpMaxRetrans
        isLoose = sysctl.tcpLoose
        isLiberal = sysctl.tcpBeLiberal
        ignoresInvalidRST = sysctl.tcpIgnoreInvalidRST
        sctp = InlineArray(repeating: 0)
        for (index, seconds) in sysctl.sctpTimeouts.enumerated() {
            sctp[index + 1] = rate.ticks(seconds: seconds)
        }
        longLife = rate.ticks(seconds: 120)
        udp = rate.ticks(seconds: sysctl.udpTimeout)
        udpStream = rate.ticks(seconds: sysctl.udpTimeoutStream)
        udpStreamDelay = rate.ticks(seconds: 2)
        icmp = rate.ticks(seconds: sysctl.icmpTimeout)
        icmpv6 = rate.ticks(seconds: sysctl.icmpv6Timeout)
        generic = rate.ticks(seconds: sysctl.genericTimeout)
        gre = rate.ticks(seconds: sysctl.greTimeout)
        greStream = rate.ticks(seconds: sysctl.greTimeoutStream)
        verifiesChecksums = sysctl.checksum
        keepsUnacknowledgedAfterRST = profile == .linux612
    }
}
