import Testing
import Wire

@testable import Conntrack

/// table.md §5: the number of buckets.
@Suite struct TableResizeTests {
    @Test("table.md case 21: 100001 buckets become 100352, nobody is lost, the limit stays")
    func resizes() throws {
        var machine = Machine(buckets: 1024, max: 50_000)
        let flows = UInt32(1)...5000
        for flow in flows { machine.send(.flow(flow)) }
        try machine.set("nf_conntrack_buckets", to: "100001")
        #expect(machine.node.table.buckets.count == 100_352)
        #expect(machine.node.table.limits.connections == 50_000)
        #expect(machine.count == 5000)
        for flow in flows {
            #expect(machine.connection(.flow(flow)) != nil)
            #expect(Tuple.flow(flow).inverted.flatMap { machine.connection($0) } != nil)
        }
    }

    @Test("table.md §5: a chain that moves turns round")
    func reverses() {
        var machine = Machine(buckets: 1024)
        for _ in 0..<5 { machine.enter(machine.tuple(in: 7, avoiding: [7]), life: 7500) }
        // Every chain of 1024 buckets lies whole in one of two.
        machine.node.table.resize(buckets: 2, at: machine.now)
        let before = machine.chain(0)
        machine.node.table.resize(buckets: 1, at: machine.now)
        let after = machine.chain(0)
        // Bucket 0 moved first and was buried by bucket 1.
        #expect(Array(after.suffix(before.count)) == before.reversed())
        #expect(after.count == 10)
    }

    @Test("table.md §5: the chain limit does not hold for chains that a resize makes")
    func ignoresTheLimit() {
        var machine = Machine(buckets: 65536)
        machine.enter(1000, life: 7500)
        machine.node.table.resize(buckets: 1, at: machine.now)
        #expect(machine.chain(0).count == 2000)
        #expect(machine.count == 1000)
        #expect(machine.counters == Counters())
        machine.node.table.resize(buckets: 65536, at: machine.now)
        #expect(machine.send(.flow(1)).verdict == .forwarded)
    }

    @Test("table.md §5: the same number again changes nothing, not even an order")
    func sameSize() throws {
        var machine = Machine(buckets: 512)
        for _ in 0..<5 { machine.enter(machine.tuple(in: 7, avoiding: [7]), life: 7500) }
        let before = machine.chain(7)
        try machine.set("nf_conntrack_buckets", to: "511")
        #expect(machine.chain(7) == before)
    }

    @Test("a resize carries expired connections along, for whoever finds them first")
    func carriesExpired() {
        var machine = Machine(buckets: 512)
        machine.enter(100, life: 250)
        machine.pass(ticks: 300)
        machine.node.table.resize(buckets: 1024, at: machine.now)
        #expect(machine.count == 100)
        machine.send(.flow(1))
        #expect(machine.eventNames.suffix(2) == ["DESTROY", "NEW"])
    }
}

extension Machine {
    /// The links of one chain from its head.
    func chain(_ bucket: UInt32) -> [Link] {
        var links: [Link] = []
        var link = node.table.buckets[bucket].first
        while link != .none {
            links.append(link)
            link = node.table.next(node.table.records[link.slot], link.direction)
        }
        return links
    }

    /// Writes a sysctl file.
    mutating func set(_ name: String, to value: String) throws {
        var sysctl = node.configuration.sysctl
        try sysctl.set(name, to: value)
        node.apply(sysctl, at: instant)
    }
}
