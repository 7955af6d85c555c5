internal import Conntrack
internal import Report
internal import Wire

/// What the kernel let go with one packet, and before it, as its events tell.
///
/// Which connections make room in a full table depends on the kernel's secret hash key, and so does
/// who meets an expired one; when the collector comes by is its own affair. All of it is taken over
/// by the model, which lets go only what may go at all (spec table.md §6 and §9, gc.md §3): anything
/// else stays, and is a difference.
struct Evictions {
    /// To make room, by the newcomer's own search.
    private(set) var searched: [ConnectionKey] = []
    /// By the collector, before the packet or beside it; or by a lookup, because it had expired.
    private(set) var collected: [ConnectionKey] = []

    init(_ outcome: PacketOutcome) {
        collected = Self.keys(outcome.before?.events ?? [])
        let events = outcome.events ?? []
        guard outcome.counters?["early_drop"] ?? 0 > 0 else {
            collected += Self.keys(events)
            return
        }
        searched = Self.keys(events.filter { $0.entry.timeout != nil })
        collected += Self.keys(events.filter { $0.entry.timeout == nil })
    }

    /// Connections that have ended.
    private static func keys(_ events: [EventRecord]) -> [ConnectionKey] {
        events.filter { $0.type == "DESTROY" }.compactMap { ConnectionKey($0.entry) }
    }
}

extension ConnectionKey {
    /// What `entry` is known by; `nil` if its addresses cannot be read.
    init?(_ entry: EntryRecord) {
        guard let (family, source) = Address.parse(entry.original.source),
            let (_, destination) = Address.parse(entry.original.destination)
        else { return nil }
        let tuple = entry.original
        let typeAndCode = tuple.type.map { $0 << 8 | (tuple.code ?? 0) }
        let parts = (
            tuple.sourcePort ?? tuple.id ?? tuple.sourceKey ?? 0,
            tuple.destinationPort ?? typeAndCode ?? tuple.destinationKey ?? 0
        )
        let zones = (entry.zone ?? entry.originalZone ?? 0, entry.zone ?? entry.replyZone ?? 0)
        self.init(
            Tuple(
                family, UInt8(truncatingIfNeeded: entry.proto), source: source,
                UInt16(truncatingIfNeeded: parts.0), destination: destination,
                UInt16(truncatingIfNeeded: parts.1)),
            ZonePair(
                original: UInt16(truncatingIfNeeded: zones.0),
                reply: UInt16(truncatingIfNeeded: zones.1)))
    }
}

/// How often newcomers to the full table found somebody to make room, in both arms.
public struct EvictionSummary: Sendable, Hashable {
    /// Different newcomers to a full table.
    public var searches: Int
    /// How many of them the live kernel found room for.
    public var live: Int
    /// For how many the model's own search would have.
    public var model: Int

    public init(searches: Int, live: Int, model: Int) {
        self.searches = searches
        self.live = live
        self.model = model
    }

    /// Whether both numbers can come from the same chance.
    ///
    /// Their difference has a variance of at most 2np(1−p), with p the share of both together; five
    /// standard deviations and the odd one for small numbers are allowed, so that a right model is
    /// accused about once in two million runs.
    public var agrees: Bool {
        guard searches > 0 else { return true }
        let count = Double(searches)
        let share = Double(live + model) / (2 * count)
        let deviation = (2 * count * share * (1 - share)).squareRoot()
        return Double(abs(live - model)) <= 5 * deviation + 3
    }

    public var text: String {
        "\(searches) different newcomers met a full table; room was made for \(live) on the live kernel, "
            + "for \(model) by the model's own search"
    }
}
