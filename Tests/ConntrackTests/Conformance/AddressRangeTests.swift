import Testing
import Wire

@testable import Conntrack

/// nat.md §3.1: which address of a range a connection gets.
@Suite struct AddressRangeTests {
    /// A line of the fixture.
    struct Row: Sendable {
        var kind: NATKind
        var range: NATRange
        var zone: UInt16
        var tuple: Tuple
        var chosen: Address

        init?(_ line: String, port: UInt16) {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 8,
                let (family, first) = Address.parse(words[1]),
                let (_, last) = Address.parse(words[2]), let zone = UInt16(words[4]),
                let (_, source) = Address.parse(words[5]),
                let (_, destination) = Address.parse(words[6]),
                let (_, chosen) = Address.parse(words[7])
            else { return nil }
            kind = words[0] == "snat" ? .source : .destination
            range = NATRange()
            range.firstAddress = first
            range.lastAddress = last
            range.flags = words[3] == "persistent" ? [.addresses, .persistent] : .addresses
            self.zone = zone
            tuple = Tuple(
                family, IPProtocol.udp, source: source, port, destination: destination, 53)
            self.chosen = chosen
        }
    }

    private static let rows: [Row] = Fixture.lines("nat-ranges.txt")
        .filter { !$0.hasPrefix("#") }.enumerated()
        .compactMap { Row($0.element, port: 2001 + UInt16($0.offset)) }

    @Test("nat.md case 5: every choice the kernel made from a range is the model's choice")
    func choosesAsTheKernel() {
        #expect(Self.rows.count == 316)
        for row in Self.rows {
            var machine = Machine()
            #expect(machine.mapped(row) == row.chosen, "\(row)")
        }
    }

    @Test("the rows are worth something: every address of every small range is met")
    func coversRanges() {
        let small = Self.rows.filter { $0.range.lastAddress.low - $0.range.firstAddress.low == 3 }
        for family in Family.allCases {
            let chosen = Set(small.filter { $0.tuple.family == family }.map(\.chosen))
            #expect(chosen.count == 4)
        }
    }

    @Test("nat.md case 5b: one client socket keeps one address for all destinations")
    func oneAddressPerSocket() {
        var machine = Machine()
        var range = NATRange()
        range.firstAddress = Address(ipv4: 0x0a02_000a)
        range.lastAddress = Address(ipv4: 0x0a02_000d)
        range.flags = .addresses
        var chosen: Set<Address> = []
        for host: UInt32 in 20..<40 {
            let tuple = Tuple(
                .ipv4, IPProtocol.udp, source: Address(ipv4: 0x0a01_0002), 1000,
                destination: Address(ipv4: 0x0a02_0000 | host), 53)
            chosen.insert(machine.mapped(tuple, range, .source, zone: 0).source)
        }
        #expect(chosen.count == 1)
    }

    @Test("lookup3 over four words gives what its author's published code gives")
    func jenkins() {
        // hashword(key, 4, initval) of lookup3.c; there the length is added as words << 2 too.
        #expect(JenkinsHash.words4(0, 0, 0, 0, initial: 0) == Self.lookup3([0, 0, 0, 0], 0))
        var dice = Dice(seed: 3)
        for _ in 0..<500 {
            let words = (0..<4).map { _ in UInt32(truncatingIfNeeded: dice.next()) }
            let initial = UInt32(truncatingIfNeeded: dice.next())
            #expect(
                JenkinsHash.words4(words[0], words[1], words[2], words[3], initial: initial)
                    == Self.lookup3(words, initial))
        }
    }

    /// lookup3's `hashword()` for any number of words, written from its description.
    private static func lookup3(_ words: [UInt32], _ initial: UInt32) -> UInt32 {
        func rotated(_ value: UInt32, _ turn: UInt32) -> UInt32 {
            value << turn | value >> (32 - turn)
        }
        var state = [UInt32](
            repeating: 0xdead_beef &+ UInt32(words.count) << 2 &+ initial, count: 3)
        var rest = words[...]
        while rest.count > 3 {
            for index in 0..<3 { state[index] &+= rest.removeFirst() }
            for (round, turn) in [4, 6, 8, 16, 19, 4].enumerated() {
                let (a, b, c) = (round % 3, (round + 1) % 3, (round + 2) % 3)
                state[a] = (state[a] &- state[c]) ^ rotated(state[c], UInt32(turn))
                state[c] = state[c] &+ state[b]
            }
        }
        for (index, word) in rest.enumerated() { state[index] &+= word }
        for (round, turn) in [14, 11, 25, 16, 4, 14, 24].enumerated() {
            let (target, source) = ((round + 2) % 3, (round + 1) % 3)
            state[target] = (state[target] ^ state[source]) &- rotated(state[source], UInt32(turn))
        }
        return state[2]
    }
}

extension Machine {
    /// What a new connection's first packet looks like once it has been mapped.
    mutating func mapped(
        _ tuple: Tuple, _ range: NATRange, _ kind: NATKind, zone: UInt16
    ) -> Tuple {
        guard let reply = tuple.inverted else { return tuple }
        let zones = ZonePair(original: zone, reply: zone)
        let hash = node.table.hash(tuple, zone: zone, .initial)
        let made = node.table.create(tuple, reply: reply, hash: hash, zones, .initial, at: now)
        guard let made else { return tuple }
        NAT.setUp(made, range, kind, in: &node.table, at: now)
        node.table.refresh(made, 7500, at: now)
        _ = node.table.confirm(made, allowsClash: true, at: now)
        node.table.release(made)
        return node.table.tuple(of: made, .reply).inverted ?? tuple
    }

    fileprivate mutating func mapped(_ row: AddressRangeTests.Row) -> Address {
        let tuple = mapped(row.tuple, row.range, row.kind, zone: row.zone)
        return row.kind == .source ? tuple.source : tuple.destination
    }
}
