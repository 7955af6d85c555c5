internal import Wire

/// A `ct timeout` object as connections use it: all timeouts of one protocol, in ticks.
///
/// What the object does not name is as the kernel was built, whatever the sysctls say. Observed on
/// 6.18.
struct TimeoutPolicy: Sendable, BitwiseCopyable {
    private var tcp: InlineArray<10, UInt32>
    private var tcpMaxRetrans: UInt32
    private var tcpUnacknowledged: UInt32
    private var udp: UInt32
    private var udpStream: UInt32
    /// What a connection gets together with the policy, whatever its state.
    let first: UInt32

    init(_ definition: TimeoutDefinition, _ rate: TickRate, _ profile: KernelProfile) {
        let settings = TrackerSettings(Sysctl(), rate, profile)
        tcp = settings.tcp
        tcpMaxRetrans = settings.tcpMaxRetrans
        tcpUnacknowledged = settings.tcpUnacknowledged
        udp = settings.udp
        udpStream = settings.udpStream
        for setting in definition.settings {
            // As the kernel: 32 bits, so that a number too large becomes a time that is over.
            let ticks = setting.seconds &* rate.hertz
            switch setting.name {
            case .tcp(let state): tcp[Int(state.rawValue)] = ticks
            case .tcpRetransmitted: tcpMaxRetrans = ticks
            case .tcpUnacknowledged: tcpUnacknowledged = ticks
            case .udpUnreplied: udp = ticks
            case .udpReplied: udpStream = ticks
            }
        }
        let isTCP = definition.protocolNumber == IPProtocol.tcp
        first = isTCP ? tcp[Int(TCPState.synSent.rawValue)] : udp
    }

    /// The settings, with this policy's timeouts in place of the namespace's.
    func applied(to settings: borrowing TrackerSettings) -> TrackerSettings {
        var settings = copy settings
        settings.tcp = tcp
        settings.tcpMaxRetrans = tcpMaxRetrans
        settings.tcpUnacknowledged = tcpUnacknowledged
        settings.udp = udp
        settings.udpStream = udpStream
        return settings
    }
}
