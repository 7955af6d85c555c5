// The JSONL contract of `ctlab replay`, one value a line: what happened to each packet, whichever
// arm (the model, the live kernel, a recording) it happened in. Keys are documented in the README.

/// What one packet did: one line of the JSONL output.
public struct PacketOutcome: Codable, Sendable, Hashable {
    /// Index from 0.
    public var packet: Int
    /// Seconds since the first packet, nine decimals.
    public var time: String
    /// Ingress interface.
    public var `in`: String?
    public var tuple: TupleRecord?
    /// `new`, `established`, `related`, `invalid`, `untracked`, `none`.
    public var state: String
    /// `original` or `reply`; absent without an entry.
    public var direction: String?
    /// `forwarded`, `local`, `dropped`.
    public var verdict: String
    /// For a drop: `table_full`, `rule`, `insert_failed`, `nat`, `no_route`, …
    public var reason: String?
    /// For INVALID (and "ignored") packets: the kernel's own text.
    public var invalid_reason: [String]?
    /// For a rule drop: hook, chain and line that decided.
    public var hook: String?
    public var out: [OutputRecord]?
    public var events: [EventRecord]?
    public var entry: EntryRecord?
    /// Non-zero changes of the counters; `count` is the new number of entries, when it changed.
    public var counters: [String: Int]?
    /// Entries removed by this packet: expired ones it met, early drop.
    public var evicted: Int?
    /// What happened between the previous packet and this one.
    public var before: Interlude?

    public init(packet: Int, time: String, state: String, verdict: String) {
        self.packet = packet
        self.time = time
        self.state = state
        self.verdict = verdict
    }
}

/// What the collector did while no packet came.
public struct Interlude: Codable, Sendable, Hashable {
    public var events: [EventRecord]?
    public var counters: [String: Int]?

    public init(events: [EventRecord]?, counters: [String: Int]?) {
        self.events = events
        self.counters = counters
    }
}

/// A tuple as the contract writes it. `proto` is absent inside an entry, which has its own.
public struct TupleRecord: Codable, Sendable, Hashable {
    public var proto: Int?
    public var src: String
    public var dst: String
    public var sport: Int?
    public var dport: Int?
    public var type: Int?
    public var code: Int?
    public var id: Int?
    public var srckey: Int?
    public var dstkey: Int?

    public init(src: String, dst: String) {
        self.src = src
        self.dst = dst
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
    /// Seconds left, truncated.
    public var timeout: Int?
    public var tcp: TCPRecord?
    public var mark: Int?
    public var zone: Int?
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
}

/// The TCP part of an entry, as netlink shows it. In DESTROY events only `state` is there.
public struct TCPRecord: Codable, Sendable, Hashable {
    public var state: String
    public var wscale_original: Int?
    public var wscale_reply: Int?
    public var flags_original: Int?
    public var flags_reply: Int?

    public init(state: String) { self.state = state }
}
