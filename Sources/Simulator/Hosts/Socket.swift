import Conntrack
import Wire

// The sockets of every host in one pool, found by what a packet to them carries. A socket keeps
// what its end of a connection must know and no payload.

/// The states of a TCP endpoint, as RFC 9293 names them.
///
/// TIME-WAIT is kept in `TimeWait`, and LISTEN is the host's.
enum EndpointState: UInt8, BitwiseCopyable {
    case synSent, synReceived, established, finWait1, finWait2, closing, closeWait, lastAck
    /// A datagram socket.
    case datagram
    /// The application is gone without a word, and the host with it: nothing is answered.
    case abandoned
}

/// The addresses and ports by which packets find a socket.
struct SocketKey: Hashable, BitwiseCopyable {
    var local: Address
    var remote: Address
    var localPort: UInt16
    var remotePort: UInt16
    var station: UInt16
    var family: Family
    var protocolNumber: UInt8

    /// The key of the socket a packet is for.
    @inline(__always)
    init(receiving tuple: Tuple, at station: Int) {
        local = tuple.destination
        remote = tuple.source
        localPort = tuple.destinationPart
        remotePort = tuple.sourcePart
        self.station = UInt16(truncatingIfNeeded: station)
        family = tuple.family
        protocolNumber = tuple.protocolNumber
    }

    init(
        _ station: Int, _ protocolNumber: UInt8, _ family: Family, local: Address,
        _ localPort: UInt16, remote: Address, _ remotePort: UInt16
    ) {
        self.station = UInt16(truncatingIfNeeded: station)
        self.protocolNumber = protocolNumber
        self.family = family
        self.local = local
        self.localPort = localPort
        self.remote = remote
        self.remotePort = remotePort
    }

    /// What a packet from this socket carries.
    @inline(__always)
    var tuple: Tuple {
        Tuple(family, protocolNumber, source: local, localPort, destination: remote, remotePort)
    }

    @inline(__always)
    var hash: UInt64 {
        var mixed = local.low &* 0x9E37_79B9_7F4A_7C15
        mixed ^= (remote.low ^ remote.high &* 31 ^ local.high &* 17) &* 0xC2B2_AE3D_27D4_EB4F
        let ports = UInt64(localPort) << 32 | UInt64(remotePort) << 16 | UInt64(station)
        mixed = (mixed ^ mixed >> 32 ^ ports) &* 0x1656_67B1_9E37_79F9
        return mixed ^ mixed >> 29
    }

    @inline(__always)
    func isEqual(_ other: SocketKey) -> Bool {
        localPort == other.localPort && remotePort == other.remotePort
            && station == other.station && local == other.local && remote == other.remote
            && protocolNumber == other.protocolNumber && family == other.family
    }
}

/// One end of a connection, or a bound datagram socket.
struct Socket: BitwiseCopyable {
    var key: SocketKey
    var state: EndpointState
    /// The application will write no more: a FIN follows what is queued.
    var isFinQueued = false
    var isServer: Bool
    /// Server side: a request is there, and its answer is being made.
    var isAnswering = false
    var hasWorker = false
    /// Client side: one of a pool's connections.
    var isPooled = false
    /// Nobody reads any more: the application has closed it.
    var isOrphan = false
    /// Retransmissions in a row.
    var retransmits: UInt8 = 0
    var duplicateAcks: UInt8 = 0
    var probes: UInt8 = 0
    /// Segments that may be on their way.
    var congestionWindow: UInt16 = 10
    var slowStartThreshold: UInt16 = .max

    var initialSequence: UInt32
    var sendUnacked: UInt32
    var sendNext: UInt32
    /// Behind the last byte the application has written.
    var sendEnd: UInt32
    /// The highest sequence number ever sent: what lies before it is a retransmission.
    var sendHighest: UInt32
    var receiveNext: UInt32 = 0
    /// Behind the last byte of the message the application waits for.
    var receiveTarget: UInt32 = 0
    /// A stretch that came before what should precede it; empty where both are equal.
    var aheadStart: UInt32 = 0
    var aheadEnd: UInt32 = 0
    /// The ahead stretch ends with a FIN.
    var isFinAhead = false
    /// Bytes the peer takes, scaled.
    var peerWindow: UInt32 = 65535

    /// Smoothed round trip, microseconds; 0 while not measured.
    var roundTrip: UInt32 = 0
    /// When the retransmission timer is due; `.max` while there is nothing to wait for.
    var deadline: UInt64 = .max
    /// When the server's application acts: answers, or closes.
    var applicationDeadline: UInt64 = .max
    /// When the earliest event for this socket's timers comes.
    var timerAt: UInt64 = .max
    /// When the peer was heard last.
    var heardAt: UInt64 = 0
    /// When the segment that is measured was sent.
    var sentAt: UInt64
    var generation: UInt32
    /// The other end's socket: a hint.
    var peer: UInt32 = .max
    /// Which local addresses and ports it competes with; see `PortLane`.
    var lane: UInt32 = .max
    var exchange: ExchangeReference
    /// Next in the hash chain.
    var next: UInt32 = .max
    /// Server side: what the application reads and answers, and how often.
    var requestByteCount: UInt32 = 0
    var responseByteCount: UInt32 = 0
    var requestsLeft: UInt32 = 0
    var pushesLeft: UInt32 = 0
    /// Server side: the place of the listener that accepted it.
    var listener: UInt32 = .max

    init(
        _ key: SocketKey, _ state: EndpointState, isServer: Bool, sequence: UInt32,
        generation: UInt32, _ exchange: ExchangeReference, at now: UInt64
    ) {
        self.key = key
        self.state = state
        self.isServer = isServer
        initialSequence = sequence
        sendUnacked = sequence
        sendNext = sequence
        sendEnd = sequence &+ 1
        sendHighest = sequence
        sentAt = now
        self.generation = generation
        self.exchange = exchange
    }
}

/// A connection that is over, whose addresses and ports are kept for a minute.
struct TimeWait: BitwiseCopyable {
    var key: SocketKey
    var sendNext: UInt32
    var receiveNext: UInt32
    var expiry: UInt64
    var lane: UInt32
    var generation: UInt32
    var next: UInt32 = .max
}

extension UInt32 {
    /// Sequence numbers: this one stands before `other`.
    @inline(__always)
    func precedes(_ other: UInt32) -> Bool { Int32(bitPattern: self &- other) < 0 }
}
