import Testing
import Wire

@testable import LoadGen

/// What the processes of a run do together: as much as one would, at the same moments.
@Suite struct PlanShareTests {
    private static func target(addresses: Int = 1, ports: Int = 1) -> TargetPool {
        TargetPool(
            addresses: AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001), count: addresses),
            firstPort: 9000, portCount: ports)
    }

    private static func lanes(_ workload: LoadWorkload, _ parts: Int) -> [Lane] {
        let plan = Plan(workloads: [workload], duration: 20_000_000_000)
        return (0..<parts).map {
            Lane(plan.part($0, of: parts).workloads[0], seed: UInt64($0), origin: 0)
        }
    }

    @Test("a population is as large as its stages say, at every moment", arguments: [1, 3, 4, 24])
    func addsUpPopulations(_ parts: Int) {
        var workload = QuickProfile.churn.workload(Self.target())
        workload.model = .population(
            stages: [
                Arrivals.Stage(seconds: 5, from: 0, to: 100),
                Arrivals.Stage(seconds: 5, from: 10, to: 10),
                Arrivals.Stage(seconds: 5, from: 100, to: 0),
            ])
        var whole = Self.lanes(workload, 1)[0]
        var shares = Self.lanes(workload, parts)
        for step in 0..<430 as Range<UInt64> {
            let moment = step * 37_000_000
            _ = whole.follow(now: moment)
            var sum = 0
            for index in shares.indices {
                _ = shares[index].follow(now: moment)
                sum += shares[index].wanted
            }
            #expect(sum == whole.wanted, "\(moment) ns")
        }
        let plan = Plan(workloads: [workload], duration: 1)
        #expect((0..<parts).reduce(0) { $0 + plan.part($1, of: parts).expectedFlows } == 100)
    }

    @Test("a burst is divided among the processes, which begin theirs together", arguments: 1...12)
    func dividesBursts(_ parts: Int) {
        var workload = QuickProfile.churn.workload(Self.target())
        workload.model = .open(
            Arrivals(
                stages: [
                    Arrivals.Stage(seconds: 2, from: 0, to: 0),
                    Arrivals.Stage(seconds: 9, from: 33, to: 33),
                ], spacing: .bursts(size: 10)))
        let plan = Plan(workloads: [workload], duration: 20_000_000_000)
        let alone = plan.arrivals(of: 0, processes: 1)
        #expect(alone.count == 300)
        #expect(plan.arrivals(of: 0, processes: parts) == alone)
        var begun: [UInt64] = []
        for var lane in Self.lanes(workload, parts) {
            while let next = lane.nextStart {
                begun.append(next)
                lane.advance(now: next)
            }
        }
        #expect(begun.sorted() == alone)
    }

    struct Row: CustomTestStringConvertible, Sendable {
        var addresses = 1
        var ports = 1
        var sources = 1
        var sourcePorts = 1

        var testDescription: String {
            "\(addresses) addresses, \(ports) ports from \(sources) addresses, \(sourcePorts) ports"
        }
    }

    @Test(
        "every pair of ends of a fan-out belongs to one process",
        arguments: [
            Row(addresses: 8, sources: 8), Row(ports: 9, sources: 8), Row(sources: 7),
            Row(sourcePorts: 10), Row(addresses: 3, ports: 2, sources: 2, sourcePorts: 6),
            Row(addresses: 6, ports: 5, sources: 9, sourcePorts: 3),
        ], [1, 2, 4, 5])
    func dividesTuples(_ row: Row, _ parts: Int) {
        var workload = QuickProfile.fanout.workload(
            Self.target(addresses: row.addresses, ports: row.ports))
        workload.sources = AddressPool(
            .ipv4, first: Address(ipv4: 0x7F01_0001), count: row.sources)
        workload.sourcePortCount = row.sourcePorts
        let plan = Plan(workloads: [workload], duration: 1_000_000_000)
        var uses: [String: Int] = [:]
        for part in 0..<parts {
            let share = plan.part(part, of: parts).workloads[0]
            for source in 0..<(share.sources?.count ?? 0) {
                for destination in 0..<share.target.count {
                    let pair =
                        "\(share.sources?.address(source).text(.ipv4) ?? "") "
                        + "\(share.target.destination(destination))"
                    uses[pair, default: 0] += share.sourcePortCount
                }
            }
        }
        #expect(uses.count == row.sources * row.addresses * row.ports)
        #expect(uses.values.allSatisfy { $0 == row.sourcePorts }, "\(uses)")
        #expect(plan.tupleCount(ofWorkload: 0, processes: parts) == workload.tupleCount)
    }

    @Test("processes that are more than pairs of ends have a source port each, and it is said")
    func countsAddedPorts() {
        var workload = QuickProfile.fanout.workload(Self.target())
        workload.reuse = .never
        let plan = Plan(workloads: [workload], duration: 1_000_000_000)
        #expect(plan.tupleCount(ofWorkload: 0, processes: 4) == 4)
        let lines = Preflight.remarks(plan, processes: 4, descriptorLimit: 1000)
        #expect(
            lines.contains {
                $0.contains(
                    "of which 4 can differ (source addresses 1 × source ports 4 × destinations 1)")
            }, "\(lines)")
    }
}
