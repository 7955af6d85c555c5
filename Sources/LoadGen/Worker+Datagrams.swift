internal import LinuxCalls
internal import Wire

// Datagram flows: few sockets, a destination each. The flow is the tracker's: no state here.
extension Worker {
    /// Flows sent in one turn at most.
    private static let datagramFlowsPerTurn = 4 * DatagramTable.batchCount

    /// Makes the workload's sockets.
    static func bind(
        _ workload: LoadWorkload, in datagrams: inout DatagramTable
    ) throws(SystemCallError) {
        let family = workload.target.addresses.family
        let sources = workload.sources
        for index in 0..<(sources?.count ?? 1) * max(1, workload.sourcePortCount) {
            let source = SocketAddress(
                family, sources?.address(index) ?? .zero, port: 0)
            do throws(SocketFailure) {
                try datagrams.bind(source)
            } catch {
                throw error.error(with: source)
            }
        }
    }

    /// Sends the first datagrams of all flows that are due.
    mutating func sendDatagrams(_ lane: Int, _ now: UInt64) {
        let sockets = datagramSockets[lane]
        let destinations = lanes[lane].workload.target.count
        let outgoing = lanes[lane].outgoing
        let copies = lanes[lane].workload.datagramsPerFlow
        var budget = Self.datagramFlowsPerTurn
        var socket = sockets.lowerBound
        while budget > 0, lanes[lane].isDue(at: now) {
            budget -= 1
            guard lanes[lane].tuples.take(at: now) else {
                lanes[lane].flows.droppedStarts += 1
                lanes[lane].flows.usedUpStarts += 1
                lanes[lane].advance(now: now)
                continue
            }
            let due = lanes[lane].nextStart ?? now
            let index = lanes[lane].index
            let turn = sockets.lowerBound + index / destinations % sockets.count
            if turn != socket {
                flush(socket, lane)
                socket = turn
            }
            let peer = lanes[lane].workload.target.destination(index)
            for _ in 0..<copies {
                if datagrams.pendingCount == DatagramTable.batchCount { flush(socket, lane) }
                datagrams.add(outgoing.span, to: peer)
            }
            lanes[lane].index += 1
            lanes[lane].flows.started += 1
            lanes[lane].flows.largestLag = max(lanes[lane].flows.largestLag, now - due)
            lanes[lane].advance(now: now)
        }
        if datagrams.pendingCount > 0 { flush(socket, lane) }
    }

    private mutating func flush(_ socket: Int, _ lane: Int) {
        var failures: [SocketFailure] = []
        let sent = datagrams.flush(by: socket) { failures.append($1) }
        lanes[lane].flows.datagrams += sent
        for failure in failures {
            lanes[lane].flows.failed += 1
            lanes[lane].flows.add(failure, lanes[lane].workload.target.destination(0))
        }
    }

    /// Counts the answers that have come to `socket`.
    mutating func receiveDatagrams(_ socket: Int) {
        guard let lane = datagramSockets.firstIndex(where: { $0.contains(socket) }) else { return }
        while true {
            let count = datagrams.receive(by: socket)
            datagrams.discard()
            lanes[lane].flows.answers += count
            if count < DatagramTable.batchCount { return }
        }
    }
}
