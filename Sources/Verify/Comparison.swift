public import Report

// Compares what two arms say about the same packets, one by one and in order.
//
// What the kernel leaves to chance is compared by what must hold instead: a port chosen after a
// clash is taken over as a pair (PortPairs); what the collector removes, it removes when it gets
// round to it, so that expired entries may go earlier in one arm than in the other (ExpiryLedger).

/// Follows two streams of outcomes and says where they differ.
public struct Comparison: Sendable {
    private var pairs: PortPairs
    private var ledger = ExpiryLedger()
    /// How many seconds two timeouts may lie apart.
    private var tolerance = 1
    private let isCountComparable: Bool
    private let isTranslating: Bool

    /// - Parameters:
    ///   - ruleset: The node's rules, for the port ranges they name.
    ///   - hasEvents: Whether entries report their end. Without it nothing tells when the
    ///     collector was there, and the number of entries is not compared.
    public init(ruleset: String, hasEvents: Bool = true) {
        pairs = PortPairs(ruleset: ruleset)
        isCountComparable = hasEvents
        isTranslating = ruleset.contains("type nat")
    }

    /// The differences about one packet, worst first; empty if the arms agree.
    ///
    /// - Parameter uncertainty: By how many nanoseconds the moments at which the arms were asked
    ///   about the packet's entry may lie apart.
    public mutating func differences(
        expected: PacketOutcome, found: PacketOutcome, uncertainty: UInt64 = 0
    ) -> [Difference] {
        var list = DifferenceList()
        tolerance = 1 + Int(clamping: uncertainty / 1_000_000_000)
        pairs.begin()
        list.compare(.interface, expected.ingress, found.ingress)
        list.compare(.verdict, expected.verdict, found.verdict)
        if !Self.isUnseenNotrack(expected, found) {
            list.compare(.state, expected.state, found.state)
        }
        list.compare(.direction, expected.direction, found.direction)
        list.compare(
            .remarks, expected.invalidReasons.map { $0.joined(separator: "; ") },
            found.invalidReasons.map { $0.joined(separator: "; ") })

        let expectedEvents = ledger.takeExpected(
            (expected.before?.events ?? []) + (expected.events ?? []))
        let foundEvents = ledger.takeFound((found.before?.events ?? []) + (found.events ?? []))
        compareEvents(expectedEvents, foundEvents, &list)
        // What flow a packet belongs to that the tracker never saw is nobody's to say.
        if expected.state != "none" || found.state != "none" {
            // A fragment whose flow the live arm could not name says nothing about an entry.
            let isNameless =
                expected.tuple == nil && found.tuple != nil && expected.entry == nil
            if !isNameless {
                compareEntries(expected.entry, found.entry, "entry", &list)
            }
        }
        compareOutput(.output, expected.out ?? [], found.out ?? [], &list)
        compareOutput(
            .answers, AnswerNumbers.without(expected.answers ?? []),
            AnswerNumbers.without(found.answers ?? []), &list)
        compareCounters(expected, found, &list)
        return list.differences
    }

    /// The differences between the two tables at the end, each in any order.
    public mutating func differences(
        expectedTable: [EntryRecord], foundTable: [EntryRecord]
    ) -> [Difference] {
        var list = DifferenceList()
        let missing = Self.keyed(expectedTable)
        let extra = Self.keyed(foundTable)
        for (key, entry) in missing {
            guard let other = extra.first(where: { $0.key == key })?.entry else {
                list.add(.table, expected: EntryText.line(entry), found: "no such entry")
                continue
            }
            compareEntries(entry, other, "final table", &list)
        }
        for (key, entry) in extra where !missing.contains(where: { $0.key == key }) {
            // The live table is listed a little later: what had less than a second left may be gone.
            if entry.timeout == 0 { continue }
            list.add(.table, expected: "no such entry", found: EntryText.line(entry))
        }
        return list.differences
    }

    private static func keyed(_ table: [EntryRecord]) -> [(key: String, entry: EntryRecord)] {
        table.map { (EntryText.key($0), $0) }.sorted { $0.0 < $1.0 }
    }

    // MARK: Parts

    /// A packet that a rule leaves untracked where the live kernel cannot be asked: a later rule
    /// drops it before the tracker's place, or nothing is tracked at all, which a rule that reads
    /// the state would change.
    private static func isUnseenNotrack(
        _ expected: PacketOutcome, _ found: PacketOutcome
    ) -> Bool {
        expected.state == "none" && found.state == "untracked"
    }

    private mutating func compareEvents(
        _ expected: [EventRecord], _ found: [EventRecord], _ list: inout DifferenceList
    ) {
        guard expected.map(\.type) == found.map(\.type) else {
            list.add(.events, expected: EntryText.lines(expected), found: EntryText.lines(found))
            return
        }
        for (left, right) in zip(expected, found) {
            compareEntries(left.entry, right.entry, "\(left.type) event", &list)
            if left.type == "DESTROY" { pairs.end(left.entry, right.entry) }
        }
    }

    private mutating func compareEntries(
        _ expected: EntryRecord?, _ found: EntryRecord?, _ place: String,
        _ list: inout DifferenceList
    ) {
        guard let expected, let found else {
            list.compare(.entry, expected.map(EntryText.line), found.map(EntryText.line), place)
            return
        }
        let hasSamePlace = expected.proto == found.proto && expected.original == found.original
        let hasSameReply = hasSamePlace && expected.reply == found.reply
        if !hasSamePlace || !hasSameReply && !pairs.accept(expected, found) {
            list.add(
                .entryTuples, expected: "\(place): \(EntryText.line(expected))",
                found: "\(place): \(EntryText.line(found))")
            return
        }
        list.compare(
            .entryStatus, expected.status.joined(separator: ","),
            found.status.joined(separator: ","), place)
        if !isClose(expected.timeout, found.timeout) {
            list.compare(
                .entryTimeout, expected.timeout.map(String.init), found.timeout.map(String.init),
                place)
        }
        list.compare(
            .entryProtocol, EntryText.protocolState(expected), EntryText.protocolState(found),
            place)
        list.compare(.entryRest, EntryText.rest(expected), EntryText.rest(found), place)
    }

    /// Seconds left are cut to whole ones at slightly different moments.
    private func isClose(_ left: Int?, _ right: Int?) -> Bool {
        guard let left, let right else { return left == right }
        return abs(left - right) <= tolerance
    }

    private func compareOutput(
        _ kind: Difference.Kind, _ expected: [OutputRecord], _ found: [OutputRecord],
        _ list: inout DifferenceList
    ) {
        guard expected != found else { return }
        let isSame = pairs.areEquivalent(
            FragmentNumbers.renumbered(expected), FragmentNumbers.renumbered(found))
        guard !isSame else { return }
        list.add(kind, expected: EntryText.lines(expected), found: EntryText.lines(found))
    }

    private mutating func compareCounters(
        _ expected: PacketOutcome, _ found: PacketOutcome, _ list: inout DifferenceList
    ) {
        var left = CounterChange(expected)
        var right = CounterChange(found)
        let tried = (left.values["found"] ?? 0, right.values["found"] ?? 0)
        // How many ports were tried before one was free is chance as well; the model is told where
        // the kernel's search ended, so that it tries no more than that.
        let isDrawn = Self.hasDrawnPort(expected) && tried.0 >= tried.1
        if pairs.hasJustPaired || isDrawn || isTranslating && Self.isLost(expected) {
            left.values["found"] = nil
            right.values["found"] = nil
        }
        list.compare(.counters, left.text, right.text)
        ledger.note(expectedCount: left.count, foundCount: right.count)
        guard isCountComparable, let (one, other) = ledger.differingCounts() else { return }
        list.add(.count, expected: "\(one)", found: "\(other)")
    }
}

extension Comparison {
    /// Whether the packet's connection was dropped before anybody could see which port it had drawn.
    private static func isLost(_ outcome: PacketOutcome) -> Bool {
        outcome.state == "new" && outcome.verdict == "dropped" && outcome.entry == nil
            && outcome.events == nil
    }

    /// Whether the packet made a mapping whose port is not the one it came with.
    private static func hasDrawnPort(_ outcome: PacketOutcome) -> Bool {
        let made = (outcome.events ?? []).first { $0.type == "NEW" }?.entry
        guard let entry = made ?? (outcome.state == "new" ? outcome.entry : nil) else {
            return false
        }
        return entry.reply.destinationPort != entry.original.sourcePort
            || entry.reply.sourcePort != entry.original.destinationPort
            || entry.reply.id != entry.original.id
    }
}

/// What a packet, and the pause before it, did to the counters.
struct CounterChange {
    var values: [String: Int] = [:]
    var count: Int?

    init(_ outcome: PacketOutcome) {
        for part in [outcome.before?.counters, outcome.counters] {
            for change in part?.changes ?? [] {
                // Recordings have the names of /proc/net/stat/nf_conntrack.
                let name = CounterChanges.toolName(change.name)
                if name == "count" {
                    count = change.value
                } else {
                    values[name, default: 0] += change.value
                }
            }
        }
    }

    /// In alphabetical order; `nil` if nothing changed.
    var text: String? {
        let changed = values.filter { $0.value != 0 }.sorted { $0.key < $1.key }
        return changed.isEmpty
            ? nil : changed.map { "\($0.key) +\($0.value)" }.joined(separator: ", ")
    }
}

/// Differences as they are found.
struct DifferenceList {
    private(set) var differences: [Difference] = []

    mutating func add(_ kind: Difference.Kind, expected: String, found: String) {
        differences.append(Difference(kind, expected: expected, found: found))
    }

    /// Adds a difference if the two are not equal.
    mutating func compare(
        _ kind: Difference.Kind, _ expected: String?, _ found: String?, _ place: String? = nil
    ) {
        guard expected != found else { return }
        let prefix = place.map { "\($0): " } ?? ""
        add(kind, expected: prefix + (expected ?? "none"), found: prefix + (found ?? "none"))
    }
}
