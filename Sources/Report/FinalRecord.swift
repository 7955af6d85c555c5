/// The last line of the JSONL output: how the machine stood when the packets were over.
///
/// The line is an object with this under its only key, `final`.
public struct FinalRecord: Codable, Sendable, Hashable {
    /// In the order of `conntrack -L`.
    public var entries: [EntryRecord]
    public var counters: CounterChanges
    public var count: Int
    public var peak: Int
    /// Lines as `dmesg` prints them.
    public var kernelLog: [String]
    /// The version of this program.
    public var version: String
    public var seed: UInt64

    public init(
        entries: [EntryRecord], counters: CounterChanges, count: Int, peak: Int,
        kernelLog: [String], version: String, seed: UInt64
    ) {
        self.entries = entries
        self.counters = counters
        self.count = count
        self.peak = peak
        self.kernelLog = kernelLog
        self.version = version
        self.seed = seed
    }

    enum CodingKeys: String, CodingKey {
        case entries, counters, count, peak, version, seed
        case kernelLog = "kernel_log"
    }
}

/// One line of the JSONL output: a packet, or the end.
public enum OutcomeLine: Codable, Sendable, Hashable {
    case packet(PacketOutcome)
    case final(FinalRecord)

    private enum Key: String, CodingKey { case final }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        if container.contains(.final) {
            self = .final(try container.decode(FinalRecord.self, forKey: .final))
        } else {
            self = .packet(try PacketOutcome(from: decoder))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .packet(let outcome): try outcome.encode(to: encoder)
        case .final(let record):
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(record, forKey: .final)
        }
    }
}
