import Conntrack
import Scenario
import Wire

// A proxy opens a connection of its own for each request, or takes one from its pool, and passes
// on what comes back.

extension Simulation {
    /// A request has come to a proxy: an exchange of the back workload asks its servers.
    mutating func passOn(_ socket: UInt32, _ workload: Int) {
        let station = Int(sockets[socket].key.station)
        guard
            let source = workloads[workload].sources.first(where: { $0.station == station })
                ?? workloads[workload].sources.first
        else { return shutDown(socket) }
        let from = SourceAddress(station: station, address: (source.family, source.first))
        begin(
            workload, from: from,
            sizes: (sockets[socket].requestByteCount, sockets[socket].responseByteCount),
            front: socket)
    }

    /// The back has answered: so does the proxy.
    mutating func backAnswered(_ index: UInt32) {
        let front = exchanges[index].front
        guard front != .max, sockets[front].generation == exchanges[index].frontGeneration,
            sockets[front].isAnswering
        else { return }
        answer(front)
    }

    /// The exchange with the back is over; where it failed, the caller loses its connection.
    mutating func backEnded(_ ended: Exchange, hasFailed: Bool) {
        guard hasFailed, sockets[ended.front].generation == ended.frontGeneration,
            sockets[ended.front].isAnswering
        else { return }
        sockets[ended.front].isAnswering = false
        shutDown(ended.front)
    }
}
