import Conntrack
import Report
import Wire

// What a table holds at one moment, and who put it there.

extension Simulation {
    /// A node's table by protocol, TCP state and workload.
    func contents(of home: TrackedNode) -> TableContents {
        let instant = Instant(nanoseconds: now)
        let census = home.node.census(at: instant)
        var contents = TableContents()
        contents.at = Double(now) / 1e9
        contents.entries = UInt64(home.node.count)
        contents.assured = UInt64(census.assured)
        contents.expired = UInt64(census.expired)
        contents.protocols = shares(
            census.protocols.enumerated().map {
                (ProtocolName.inTool(UInt8($0.offset)), $0.element)
            })
        contents.states = shares(
            census.tcpStates.enumerated().map {
                (StateName.tcp(UInt8($0.offset)), $0.element)
            })
        var byWorkload = [Int](repeating: 0, count: workloads.count + 1)
        home.node.forEachEntry(at: instant) { entry in
            byWorkload[owner(of: entry) ?? workloads.count] += 1
        }
        contents.workloads = shares(
            byWorkload.enumerated().map {
                ($0.offset < workloads.count ? workloads[$0.offset].name : "other", $0.element)
            })
        return contents
    }

    private func shares(_ counts: [(String, Int)]) -> [TableContents.Share] {
        counts.filter { $0.1 > 0 }.enumerated()
            .sorted { ($1.element.1, $0.offset) < ($0.element.1, $1.offset) }
            .map { TableContents.Share($0.element.0, UInt64($0.element.1)) }
    }

    /// The workload an entry's original direction belongs to: the first that sends from there to
    /// there.
    private func owner(of entry: Entry) -> Int? {
        let tuple = entry.original
        return workloads.indices.first(where: { place in
            let workload = workloads[place]
            guard workload.stats.packetsSent > 0 else { return false }
            let isDatagram = workload.raw?.isDatagram ?? workload.flow.isDatagram
            guard isDatagram == (tuple.protocolNumber != IPProtocol.tcp),
                workload.target.ports.contains(tuple.destinationPart)
                    || tuple.protocolNumber == IPProtocol.icmp
            else { return false }
            let goesThere = workload.target.choices.contains {
                $0.family == tuple.family && tuple.destination.high == $0.first.high
                    && tuple.destination.low &- $0.first.low < $0.count
            }
            guard goesThere else { return false }
            let spoofed = workload.raw?.sources ?? []
            return (spoofed.isEmpty ? workload.sources : spoofed).contains {
                $0.family == tuple.family && tuple.source.high == $0.first.high
                    && tuple.source.low &- $0.first.low < $0.count
            }
        })
    }
}
