import Foundation
import Testing
import Wire

@testable import Conntrack

/// Random life on a connection table and on `PlainTable` at once; both have to agree after every
/// step, link by link.
@Suite struct TablePropertyTests {
    /// `CTLAB_SEEDS` runs more of them than the everyday thirty.
    private static let seeds = UInt64(
        ProcessInfo.processInfo.environment["CTLAB_SEEDS"].flatMap { UInt64($0) } ?? 30)

    @Test("the table does what a plain one does, whatever happens to it", arguments: 0..<seeds)
    func agrees(seed: UInt64) {
        var pair = TablePair(seed: seed)
        for step in 0..<300 {
            pair.step()
            // Looking at everything takes its time where there is much.
            guard pair.plain.connections.count < 100 || step % 4 == 0 else { continue }
            let difference = pair.difference
            #expect(difference == nil, "seed \(seed), step \(step), \(pair.lastStep)")
            if difference != nil { return }
        }
        pair.empty()
        #expect(pair.difference == nil, "seed \(seed), emptied")
        #expect(pair.table.records.count == 0, "seed \(seed): nothing is left behind")
        #expect(pair.table.addresses.count == 0)
        #expect(pair.table.extensions.count == 0)
    }

    @Test("the random life meets everything it is meant to meet")
    func meetsEverything() {
        var met: Set<String> = []
        for seed in UInt64(0)..<18 {
            var pair = TablePair(seed: seed)
            for _ in 0..<300 { pair.step() }
            met.formUnion(pair.met)
        }
        let wanted: Set<String> = [
            "found original", "found reply", "absent", "refused", "inserted", "merged",
            "reply only", "clash", "too long", "dying", "spared walk", "destroyed", "cut run",
            "early drop", "collector drop", "resized", "listed", "IPv6", "IPv4", "wrapped",
            "stale summaries",
        ]
        #expect(wanted.subtracting(met) == [])
    }
}

/// A table and its plain twin, living the same life.
private struct TablePair: ~Copyable {
    var table: ConnectionTable
    var plain: PlainTable
    private(set) var lastStep = ""
    private(set) var met: Set<String> = []

    private var dice: Dice
    private var now: UInt64
    private let tuples: [Tuple]
    private var inFlight: [Slot] = []
    private var eventCount = 0
    private let longLives: Bool

    private static let zones: [ZonePair] = [
        .none, .none, .none, ZonePair(original: 8, reply: 0), ZonePair(original: 0, reply: 8),
        ZonePair(original: 7, reply: 7),
    ]
    private static let namespaces = [NamespaceIndex(0), NamespaceIndex(1)]

    init(seed: UInt64) {
        var dice = Dice(seed: seed)
        // A few tuples for clashes, many for long chains.
        let pool = [12, 60, 280][Int(seed % 3)]
        let buckets: UInt32 = 1 + dice.below(seed % 2 == 0 ? 6 : 40)
        let limit: UInt32 = [0, 0, 20, 150][Int(seed / 3 % 4)]
        longLives = seed % 2 == 0
        // Runs begin at zero, and where 32 and 31 bits of ticks come to their end.
        now = [0, 1 << 32 - 3000, 1 << 31 - 3000, 1 << 33 - 700_000][Int(seed / 5 % 4)]
        table = ConnectionTable(
            limits: Limits(connections: limit, buckets: buckets), seed: seed,
            tickRate: .reference)
        table.addNamespace()
        for namespace in Self.namespaces {
            table.namespaces[namespace].extensionParts = [.events, .accounting]
        }
        table.journal.isListening = true
        table.collector.roundsTimers = false
        tuples = Self.tuples(pool, &dice)
        let key = table.hashKey
        let mixes = Self.mixes(of: table)
        plain = PlainTable(buckets: Int(buckets), limit: limit, namespaces: 2) {
            key.raw($0, zone: $1, namespaceMix: mixes[Int($2.raw)])
        }
        self.dice = dice
        for _ in 0..<2 { collect() }  // A table that comes to tick 2^32 has a past.
    }

    private static func mixes(of table: borrowing ConnectionTable) -> [UInt64] {
        [table.namespaces[0].hashMix, table.namespaces[1].hashMix]
    }

    private static func tuples(_ count: Int, _ dice: inout Dice) -> [Tuple] {
        (0..<count).map { index in
            let protocolNumber = index % 4 == 3 ? IPProtocol.tcp : IPProtocol.udp
            let port = UInt16(1000 + index / 2)
            let tuple =
                index % 6 < 3
                ? Tuple(
                    .ipv4, protocolNumber, source: Address(ipv4: 0x0a00_0001), port,
                    destination: Address(ipv4: 0x0a00_0002), 53)
                : Tuple(
                    .ipv6, protocolNumber, source: Address(high: 0xfd00 << 48, low: 1), port,
                    destination: Address(high: 0xfd01 << 48, low: 2), 53)
            // Half of them answer the other half.
            return index % 2 == 0 ? tuple : tuple.inverted ?? tuple
        }
    }

    private var moment: Moment { Moment(TickRate.reference.instant(ofTick: now), .reference) }

    // MARK: Steps

    private mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[Int(dice.below(UInt32(elements.count)))]
    }

    private mutating func pickTuple() -> Tuple { pick(tuples) ?? .none }
    private mutating func pickZones() -> ZonePair { pick(Self.zones) ?? .none }
    private mutating func pickNamespace() -> NamespaceIndex {
        dice.chance(of: 1, in: 4) ? Self.namespaces[1] : Self.namespaces[0]
    }

    private mutating func pickLife() -> UInt32 {
        let longest: UInt32 = longLives ? 1_000_000 : 3000
        return dice.chance(of: 1, in: 3) ? 1 + dice.below(longest) : 1 + dice.below(600)
    }

    /// Does one random thing to both tables.
    mutating func step() {
        plain.clearEvents()
        table.journal.clear()
        switch dice.below(100) {
        case ..<12: pass()
        case ..<16: crowd()
        case ..<45: track()
        case ..<72: confirm()
        case ..<76: mapReply()
        case ..<80: drop()
        case ..<84: refresh()
        case ..<87: assure()
        case ..<90: delete()
        case ..<92: list()
        case ..<94: resize()
        default: collect()
        }
        met.formUnion(plain.destroyed.isEmpty ? [] : ["destroyed"])
    }

    private mutating func pass() {
        let before = now
        switch dice.below(20) {
        case ..<14: now += UInt64(dice.below(300))
        case ..<19: now += UInt64(dice.below(8000))
        default: now += UInt64(dice.below(600_000))
        }
        if dice.chance(of: 1, in: 4) { collect() }
        lastStep = "pass \(now - before)"
        if before >> 32 != now >> 32 { met.insert("wrapped") }
        if !table.collector.keepsSummariesFresh(at: moment.tick) { met.insert("stale summaries") }
    }

    /// A packet comes to the tracker.
    private mutating func track() { track(pickTuple(), pickZones(), pickNamespace()) }

    private mutating func track(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex
    ) {
        lastStep = "track \(tuple) \(zones) \(namespace.raw)"
        met.insert(tuple.family == .ipv4 ? "IPv4" : "IPv6")
        let walked = table.linksWalked
        let spares = table.buckets[
            table.buckets.bucket(of: table.hash(tuple, zone: zones.original, namespace))
        ].cannotHold(table.hash(tuple, zone: zones.original, namespace))
        let (found, hash) = table.find(tuple, zones, namespace, at: moment)
        if spares, table.linksWalked > walked, found == nil { met.insert("spared walk") }
        let expected = plain.find(tuple, zones, namespace, at: now)
        #expect(found?.slot == expected?.slot && found?.direction == expected?.direction)
        if let found, expected != nil {
            met.insert(found.direction == .original ? "found original" : "found reply")
            hold(found)
            return
        }
        met.insert("absent")
        guard let reply = tuple.inverted else { return }
        let mayEnter = plain.admit(tuple, zones, namespace, at: now)
        let made = table.create(
            tuple, reply: reply, hash: hash, zones, namespace, at: moment)
        #expect((made != nil) == mayEnter)
        if plain.counters.contains(where: { $0.earlyDrop > 0 }) { met.insert("early drop") }
        guard let made, mayEnter else {
            met.insert("refused")
            return
        }
        plain.add(made, tuple, reply: reply, zones, namespace)
        inFlight.append(made)
        setLife(made)
        count(made, .original)
    }

    /// Packets of many flows pass one after the other, and some flows get an answer.
    private mutating func crowd() {
        let zones = pickZones()
        let namespace = pickNamespace()
        for tuple in tuples {
            track(tuple, zones, namespace)
            confirm()
        }
        if dice.chance(of: 1, in: 2) {
            for slot in plain.chains.joined().map(\.slot) where dice.chance(of: 3, in: 4) {
                table.assure(slot)
                plain.assure(slot)
            }
        }
        lastStep = "crowd"
    }

    private mutating func hold(_ found: ConnectionTable.Found) {
        guard inFlight.count(where: { $0 == found.slot }) < 20 else { return }
        table.retain(found.slot)
        plain.retain(found.slot)
        inFlight.append(found.slot)
        count(found.slot, found.direction)
        if dice.chance(of: 1, in: 2) { setLife(found.slot) }
    }

    private mutating func count(_ slot: Slot, _ direction: Direction) {
        let byteCount = UInt64(dice.below(1500))
        table.account(slot, direction, byteCount: byteCount)
        plain.account(slot, direction, byteCount: byteCount)
    }

    private mutating func setLife(_ slot: Slot) {
        let life = pickLife()
        table.refresh(slot, life, at: moment)
        plain.refresh(slot, UInt64(life), at: now)
    }

    /// A packet on its way comes to the last hook.
    private mutating func confirm() {
        guard !inFlight.isEmpty else { return }
        let slot = inFlight.remove(at: Int(dice.below(UInt32(inFlight.count))))
        lastStep = "confirm \(slot.index)"
        var holder = slot
        if let connection = plain.connections[slot], !connection.status.contains(.confirmed) {
            let possible = plain.possibleOutcomes(slot)
            let allowsClash = connection.original.protocolNumber == IPProtocol.udp
            let outcome = table.confirm(slot, allowsClash: allowsClash, at: moment)
            #expect(possible.contains(outcome), "found \(outcome), expected one of \(possible)")
            plain.confirm(slot, outcome, at: now)
            if case .merged(let winner) = outcome { holder = winner }
            met.insert(Self.word(outcome))
        }
        table.deliverEvents(holder, at: moment)
        table.release(holder)
        plain.release(holder)
    }

    private static func word(_ outcome: ConfirmOutcome) -> String {
        switch outcome {
        case .inserted: "inserted"
        case .merged: "merged"
        case .insertedReplyOnly: "reply only"
        case .dying: "dying"
        case .chainTooLong: "too long"
        case .clash: "clash"
        }
    }

    /// Translation changes what an answer will look like.
    private mutating func mapReply() {
        guard let slot = pick(inFlight), let connection = plain.connections[slot],
            !connection.status.contains(.confirmed)
        else { return }
        var reply = connection.reply
        reply.sourcePart = UInt16(53 + dice.below(3))
        lastStep = "map \(slot.index)"
        table.setReply(reply, of: slot)
        plain.setReply(slot, reply)
    }

    /// A packet on its way is dropped, or what it belongs to is deleted before it arrives.
    private mutating func drop() {
        guard !inFlight.isEmpty else { return }
        let position = Int(dice.below(UInt32(inFlight.count)))
        let slot = inFlight[position]
        lastStep = "drop \(slot.index)"
        let isDeleted = dice.chance(of: 1, in: 3)
        if isDeleted, plain.connections[slot]?.status.contains(.confirmed) == false {
            // Nothing in the model deletes what is unconfirmed; the mark alone is what counts.
            table.records[slot].status.insert(.dying)
            plain.markDying(slot)
            return
        }
        inFlight.remove(at: position)
        table.release(slot)
        plain.release(slot)
    }

    private mutating func anyConfirmed() -> Slot? {
        let slots = plain.chains.joined().map(\.slot)
        return pick(slots)
    }

    private mutating func refresh() {
        guard let slot = anyConfirmed() else { return }
        lastStep = "refresh \(slot.index)"
        setLife(slot)
    }

    private mutating func assure() {
        guard let slot = anyConfirmed() else { return }
        lastStep = "assure \(slot.index)"
        table.assure(slot)
        plain.assure(slot)
    }

    private mutating func delete() {
        guard let slot = anyConfirmed() else { return }
        lastStep = "delete \(slot.index)"
        let isDeleted = table.delete(slot, at: moment)
        #expect(plain.delete(slot) == isDeleted)
    }

    private mutating func list() {
        let namespace = pickNamespace()
        lastStep = "list \(namespace.raw)"
        let listed = table.list(namespace, at: moment).map(\.original)
        let expected = plain.list(namespace, at: now)
        #expect(listed == expected)
        met.insert("listed")
    }

    private mutating func resize() {
        let buckets = dice.chance(of: 1, in: 3) ? 1 + dice.below(4) : 1 + dice.below(64)
        lastStep = "resize \(plain.chains.count) to \(buckets)"
        if buckets != plain.chains.count { plain.resize(Int(buckets)) }
        table.resize(buckets: buckets, at: moment)
        met.insert("resized")
    }

    private mutating func collect() {
        lastStep = "collect"
        let wasAlarmed = plain.collector.shouldDropEarly
        let expired = plain.connections.values.count { $0.isExpired(at: now) }
        let removed = table.collect(atTick: now)
        let expected = plain.collect(at: now)
        #expect(removed == expected)
        if plain.collector.nextBucket != 0 { met.insert("cut run") }
        if wasAlarmed, removed > expired { met.insert("collector drop") }
        #expect(table.collector.nextRun == now + max(plain.collector.delay, 1))
    }

    /// Lets everybody go and everything expire.
    mutating func empty() {
        plain.clearEvents()
        table.journal.clear()
        for slot in inFlight {
            table.release(slot)
            plain.release(slot)
        }
        inFlight = []
        now += 2_000_000
        repeat { collect() } while plain.collector.nextBucket != 0
        collect()
    }

    // MARK: Agreement

    /// The first difference between the two, in words.
    var difference: String? {
        linkDifference ?? recordDifference ?? totalDifference
    }

    /// Every chain: the same links in the same order, newest first, and a truthful head.
    private var linkDifference: String? {
        guard Int(table.buckets.count) == plain.chains.count else { return "bucket count" }
        let tick = moment.tick
        let isFresh = table.collector.keepsSummariesFresh(at: tick)
        for (index, chain) in plain.chains.enumerated() {
            let head = table.buckets[UInt32(index)]
            var link = head.first
            for expected in chain {
                guard link == Link(expected.slot, expected.direction) else {
                    return "chain \(index): found \(link), expected \(expected)"
                }
                let record = table.records[link.slot]
                // That it is the right hash shows where the next resize puts the link.
                let hash = record.hash(link.direction)
                if head.cannotHold(hash) { return "chain \(index): the head denies \(expected)" }
                if isFresh, record.deadline.hasPassed(at: tick), !head.mayHaveExpired(at: tick) {
                    return "chain \(index): the head hides that \(expected) has expired"
                }
                link = table.next(record, link.direction)
            }
            if link != .none { return "chain \(index): \(link) is one too many" }
            if head.isLengthExact, head.length != chain.count {
                return "chain \(index): found length \(head.length), expected \(chain.count)"
            }
            if chain.count > 254, head.isLengthExact { return "chain \(index): length" }
        }
        return nil
    }

    /// Every connection: linked once for each direction, and the same in every field.
    private var recordDifference: String? {
        var linkCounts: [Slot: Int] = [:]
        for link in plain.chains.joined() { linkCounts[link.slot, default: 0] += 1 }
        for (slot, connection) in plain.connections {
            let record = table.records[slot]
            let isLinked =
                connection.status.contains(.confirmed)
                && !connection.status.contains(.dying)
            let links = !isLinked ? 0 : connection.status.contains(.natClash) ? 1 : 2
            guard linkCounts[slot, default: 0] == links else { return "links of \(slot.index)" }
            guard table.tuple(of: slot, .original) == connection.original,
                table.tuple(of: slot, .reply) == connection.reply,
                record.zoneOriginal == connection.zones.original,
                record.zoneReply == connection.zones.reply,
                record.namespace == connection.namespace
            else { return "key of \(slot.index)" }
            guard record.deadline.raw == UInt32(truncatingIfNeeded: connection.deadline) else {
                return "deadline of \(slot.index)"
            }
            guard record.status == connection.status else { return "status of \(slot.index)" }
            guard Int(record.references) == connection.holders else {
                return "holders of \(slot.index): \(record.references), \(connection.holders)"
            }
            let block = table.extensions[record.extensionIndex]
            guard block.packetsOriginal == connection.originalTraffic.packets,
                block.bytesOriginal == connection.originalTraffic.bytes,
                block.packetsReply == connection.replyTraffic.packets,
                block.bytesReply == connection.replyTraffic.bytes
            else { return "accounting of \(slot.index)" }
        }
        return nil
    }

    /// Counts, counters, events, and the collector's memory.
    private var totalDifference: String? {
        guard table.records.count == plain.connections.count else {
            return "objects: found \(table.records.count)"
        }
        for namespace in Self.namespaces {
            let real = table.namespaces[namespace]
            guard real.count == plain.count(namespace) else { return "count" }
            guard real.counters == plain.counters[Int(namespace.raw)] else {
                return "counters: \(real.counters), \(plain.counters[Int(namespace.raw)])"
            }
        }
        let destroyed = table.journal.events.filter { $0.kind == .destroy }.map(\.entry.original)
        guard destroyed == plain.destroyed else {
            return "destroyed: found \(destroyed), expected \(plain.destroyed)"
        }
        let collector = table.collector
        guard Int(collector.nextBucket) == plain.collector.nextBucket,
            Int(collector.mean) == plain.collector.mean,
            Int(collector.seen) == plain.collector.seen,
            collector.shouldDropEarly == plain.collector.shouldDropEarly
        else { return "collector: \(collector), \(plain.collector)" }
        return nil
    }
}
