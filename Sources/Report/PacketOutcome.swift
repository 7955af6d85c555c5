// The JSONL contract of `ctlab replay`, one value a line: what happened to each packet, whichever
// arm (the model, the live kernel, a recording) it happened in. Keys are documented in the README;
// their order on a line is that of the properties here (see PacketOutcome+JSON).

/// What one packet did: one line of the JSONL output.
public struct PacketOutcome: Codable, Sendable, Hashable {
    /// Index from 0.
    public var packet: Int
    /// Seconds since the first packet, nine decimals.
    public var time: String
    /// Ingress interface.
    public var ingress: String?
    public var tuple: TupleRecord?
    /// `new`, `established`, `related`, `invalid`, `untracked`, `none`.
    public var state: String
    /// `original` or `reply`; absent without an entry.
    public var direction: String?
    /// `forwarded`, `local`, `dropped`.
    public var verdict: String
    /// Why a packet was dropped: `table_full`, `rule`, `insert_failed`, `nat`, `no_route` and so on.
    public var reason: String?
    /// The kernel's own lines about an INVALID (or "ignored") packet.
    public var invalidReasons: [String]?
    /// For a rule drop: hook, chain and line that decided.
    public var hook: String?
    public var out: [OutputRecord]?
    /// What the machine itself sent because a rule refused the packet.
    public var answers: [OutputRecord]?
    /// What a helper changed in the payload.
    public var payload: PayloadRecord?
    public var events: [EventRecord]?
    /// What a lookup finds right after the packet; written as `null` where it finds nothing.
    public var entry: EntryRecord?
    /// Changes of the counters; `count` is the new number of entries, when it changed.
    public var counters: CounterChanges?
    /// Entries removed by this packet: expired ones it met, early drop.
    public var evicted: Int?
    /// What happened between the previous packet and this one.
    public var before: Interlude?
    /// The packet's way step by step, in lines for people; no part of the contract.
    public var story: [String]?

    public init(packet: Int, time: String, state: String, verdict: String) {
        self.packet = packet
        self.time = time
        self.state = state
        self.verdict = verdict
    }

    enum CodingKeys: String, CodingKey {
        case packet, time, tuple, state, direction, verdict, reason, hook, out, answers
        case payload, events
        case entry, counters, evicted, before
        case ingress = "in"
        case invalidReasons = "invalid_reason"
    }
}

/// What the collector did while no packet came.
public struct Interlude: Codable, Sendable, Hashable {
    public var events: [EventRecord]?
    public var counters: CounterChanges?

    public init(events: [EventRecord]?, counters: CounterChanges?) {
        self.events = events
        self.counters = counters
    }
}

/// A tuple as the contract writes it.
///
/// `proto` is absent inside an entry, which has its own.
public struct TupleRecord: Codable, Sendable, Hashable {
    public var proto: Int?
    public var source: String
    public var destination: String
    public var sourcePort: Int?
    public var destinationPort: Int?
    public var type: Int?
    public var code: Int?
    public var id: Int?
    public var sourceKey: Int?
    public var destinationKey: Int?

    public init(source: String, destination: String) {
        self.source = source
        self.destination = destination
    }

    enum CodingKeys: String, CodingKey {
        case proto, type, code, id
        case source = "src"
        case destination = "dst"
        case sourcePort = "sport"
        case destinationPort = "dport"
        case sourceKey = "srckey"
        case destinationKey = "dstkey"
    }
}

/// A packet that left: on which interface, and its bytes in hex.
public struct OutputRecord: Codable, Sendable, Hashable {
    public var interface: String
    public var bytes: String

    public init(interface: String, bytes: String) {
        self.interface = interface
        self.bytes = bytes
    }
}

/// A stretch of payload that a helper replaced, as text.
public struct PayloadRecord: Codable, Sendable, Hashable {
    public var before: String
    public var after: String

    public init(before: String, after: String) {
        self.before = before
        self.after = after
    }
}

/// `NEW`, `UPDATE` or `DESTROY`, with the entry as it was then.
public struct EventRecord: Codable, Sendable, Hashable {
    public var type: String
    public var entry: EntryRecord

    public init(type: String, entry: EntryRecord) {
        self.type = type
        self.entry = entry
    }
}

/// A connection as the contract writes it.
public struct EntryRecord: Codable, Sendable, Hashable {
    public var proto: Int
    public var original: TupleRecord
    public var reply: TupleRecord
    public var status: [String]
    /// Seconds left, truncated; absent in a DESTROY whose time was over.
    public var timeout: Int?
    public var tcp: TCPRecord?
    public var sctp: SCTPRecord?
    public var mark: Int?
    /// The zone of both directions.
    public var zone: Int?
    /// The zone of a connection that has one in its original direction only.
    public var originalZone: Int?
    public var replyZone: Int?
    /// The helper that reads the connection's payload.
    public var helper: String?
    /// Numbers of the labels that are set.
    public var labels: [Int]?
    /// Original direction first; only with accounting.
    public var packets: [Int]?
    public var bytes: [Int]?
    public var id: Int?

    public init(proto: Int, original: TupleRecord, reply: TupleRecord, status: [String]) {
        self.proto = proto
        self.original = original
        self.reply = reply
        self.status = status
    }

    enum CodingKeys: String, CodingKey {
        case proto, original, reply, status, timeout, tcp, sctp, mark, zone, helper, labels
        case packets, bytes, id
        case originalZone = "zone_orig"
        case replyZone = "zone_reply"
    }
}

/// The TCP part of an entry, as netlink shows it.
///
/// In DESTROY events only `state` is there.
public struct TCPRecord: Codable, Sendable, Hashable {
    public var state: String
    public var originalWindowScale: Int?
    public var replyWindowScale: Int?
    public var originalFlags: Int?
    public var replyFlags: Int?

    public init(state: String) { self.state = state }

    enum CodingKeys: String, CodingKey {
        case state
        case originalWindowScale = "wscale_original"
        case replyWindowScale = "wscale_reply"
        case originalFlags = "flags_original"
        case replyFlags = "flags_reply"
    }
}

/// The SCTP part of an entry, as netlink shows it.
///
/// In DESTROY events only `state` is there.
public struct SCTPRecord: Codable, Sendable, Hashable {
    public var state: String
    /// The verification tags expected in each direction; 0 while not known.
    public var originalTag: UInt32?
    public var replyTag: UInt32?

    public init(state: String) { self.state = state }

    enum CodingKeys: String, CodingKey {
        case state
        case originalTag = "vtag_original"
        case replyTag = "vtag_reply"
    }
}
