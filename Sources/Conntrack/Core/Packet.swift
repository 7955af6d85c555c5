public import Wire

// A packet as the tracked path sees it: a flat value of fixed size. It is made either from bytes
// (Packet+Parsing) or by a simulated host, which never writes bytes at all. What the path changes
// (addresses, ports, ICMP id, TTL, mark) it changes here; whoever holds the bytes carries the
// changes over afterwards (Packet+Rewriting).

/// Index of a connection in the table's slabs.
///
/// `none` is no connection.
public struct Slot: Hashable, Sendable, BitwiseCopyable {
    public let index: UInt32

    @inlinable
    public init(_ index: UInt32) { self.index = index }

    public static let none = Slot(UInt32.max)
}

/// Index of one of a node's interfaces.
///
/// `none` is no interface.
public struct InterfaceIndex: Hashable, Sendable, BitwiseCopyable {
    public let raw: UInt8

    @inlinable
    public init(_ raw: UInt8) { self.raw = raw }

    public static let none = InterfaceIndex(UInt8.max)
}

/// One packet on its way through a node.
public struct Packet: Sendable, BitwiseCopyable {
    /// Addresses, protocol and its two parts as they are at this point of the path.
    public var tuple: Tuple

    /// Bytes of the network-layer packet, IP header included: what accounting adds.
    public var networkByteCount: UInt32
    /// Bytes from the transport header to the end of the network-layer packet.
    public var transportByteCount: UInt32
    public var timeToLive: UInt8
    /// IPv4 TOS or IPv6 traffic class, whole byte.
    public var typeOfService: UInt8
    public var health: PacketHealth
    /// UDP: the length field.
    ///
    /// UDP-Lite: the coverage field. GRE, also where an ICMP error quotes it: the version. SCTP and
    /// others: 0.
    public var lengthField: UInt16
    /// Bytes of the largest fragment, header included, of a packet put together from fragments.
    public var fragmentByteCount: UInt16
    public var tcp: TCPSegment
    /// SCTP: tag and chunks, summed up.
    public var sctp: SCTPContent
    /// ICMP errors: the tuple of the packet they quote; meaningful with `.quotesTuple`.
    public var quoted: Tuple
    /// Transport bytes of the quoted packet that are there.
    public var quotedByteCount: UInt16

    /// `meta mark`.
    public var mark: UInt32
    public var inInterface: InterfaceIndex
    public var outInterface: InterfaceIndex

    /// The connection the packet is attached to, from the tracker on.
    public var connection: Slot
    public var info: ConntrackInfo
    /// What rules before the tracker have laid down for it.
    public var template = PacketTemplate()
    /// The mapping chosen for its new connection was taken already: no port was free.
    var lacksPort = false
    /// The hash of `tuple` outside all zones where a batch has computed it ahead; 0: unknown.
    var knownHash: UInt32 = 0
    /// The same of the inverted tuple.
    var knownReplyHash: UInt32 = 0

    public init(tuple: Tuple, networkByteCount: UInt32, transportByteCount: UInt32) {
        self.tuple = tuple
        self.networkByteCount = networkByteCount
        self.transportByteCount = transportByteCount
        timeToLive = 64
        typeOfService = 0
        health = []
        lengthField = 0
        fragmentByteCount = 0
        tcp = TCPSegment()
        sctp = SCTPContent()
        quoted = .none
        quotedByteCount = 0
        mark = 0
        inInterface = .none
        outInterface = .none
        connection = .none
        info = .none
    }
}

/// What the parser found out about a packet's bytes.
///
/// A simulated packet has none of these set.
public struct PacketHealth: OptionSet, Sendable, Hashable, BitwiseCopyable {
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Too few transport bytes for a tuple, or a network header that hides the transport.
    public static let noTuple = PacketHealth(rawValue: 1 << 0)
    /// The transport checksum is wrong (never set when the field says "no checksum").
    public static let badChecksum = PacketHealth(rawValue: 1 << 1)
    /// The checksum field is zero, which for UDP means "not computed".
    public static let zeroChecksum = PacketHealth(rawValue: 1 << 2)
    /// A fragment other than the first: no transport header here.
    public static let laterFragment = PacketHealth(rawValue: 1 << 3)
    /// ICMP error whose quoted packet could be read down to a tuple: `Packet.quoted` is set.
    public static let quotesTuple = PacketHealth(rawValue: 1 << 4)
    /// The first fragment of a datagram that is not whole (seen only where nothing reassembles).
    public static let firstFragment = PacketHealth(rawValue: 1 << 5)
    /// IPv4 "don't fragment".
    public static let dontFragment = PacketHealth(rawValue: 1 << 6)
    /// The packet was put together from fragments and goes out as fragments again.
    public static let reassembled = PacketHealth(rawValue: 1 << 7)
    /// The packet was made on this node: checksums are not verified.
    public static let local = PacketHealth(rawValue: 1 << 8)
    /// IPv6 redirect with hop limit 255 and a link-local source.
    public static let trustedRedirect = PacketHealth(rawValue: 1 << 9)
    /// IPv6 redirect whose first option is the redirected header.
    public static let redirectQuotes = PacketHealth(rawValue: 1 << 10)
    /// IPv6 redirect without any option, or with one of length zero.
    public static let redirectWithoutOptions = PacketHealth(rawValue: 1 << 11)
    /// ICMP error quoting an ICMP header cut short behind its id: `Packet.quoted` names a flow, but
    /// is no tuple for the tracker.
    public static let quotesIdentifier = PacketHealth(rawValue: 1 << 12)
    /// IPv4 options that routing refuses.
    public static let refusedOptions = PacketHealth(rawValue: 1 << 13)
    /// IPv4 options that are there at all: forwarding may change them.
    public static let options = PacketHealth(rawValue: 1 << 14)
    /// An IPv6 packet whose transport protocol is unknown even to rules.
    public static let noTransport = PacketHealth(rawValue: 1 << 15)
}

/// The fields of a TCP header that tracking reads.
public struct TCPSegment: Sendable, Hashable, BitwiseCopyable {
    public var sequence: UInt32
    public var acknowledgment: UInt32
    /// The acknowledgment field, or the furthest right edge of a SACK block beyond it.
    public var sackEdge: UInt32
    /// As on the wire, not scaled.
    public var window: UInt16
    /// The flag byte of the header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    public var flags: TCPFlags
    /// The data offset in bytes, as claimed (0...60).
    public var headerByteCount: UInt8
    /// The window-scale option's shift as sent; meaningful with `.windowScale`.
    public var windowScale: UInt8
    public var options: TCPOptionSet
    /// What a helper's changes have added to the stream that is acknowledged here; the tracker
    /// takes it off again.
    var acknowledgedShift: UInt32 = 0

    public init() {
        sequence = 0
        acknowledgment = 0
        sackEdge = 0
        window = 0
        flags = []
        headerByteCount = 20
        windowScale = 0
        options = []
    }
}

/// Which options a TCP header carries, as far as tracking cares.
public struct TCPOptionSet: OptionSet, Sendable, Hashable, BitwiseCopyable {
    public let rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// There are option bytes at all.
    public static let present = TCPOptionSet(rawValue: 1)
    public static let windowScale = TCPOptionSet(rawValue: 2)
    public static let sackPermitted = TCPOptionSet(rawValue: 4)
}
