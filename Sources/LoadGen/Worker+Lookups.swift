internal import Histogram
internal import LinuxCalls

// Lookups: a socket each, two queries in one call, and the wait for both answers. A flow's slot holds
// its lookup first and its connection then.
extension Worker {
    /// Where the queries of `slot` go.
    func server(of slot: Int) -> SocketAddress {
        let lane = Int(owners[slot])
        var peer = lanes[lane].destination(Int(peers[slot]))
        if let port = lanes[lane].workload.lookup?.port {
            peer = SocketAddress(peer.family, peer.address, port: port)
        }
        return peer
    }

    /// Begins the lookup of the flow in `slot`.
    mutating func lookUp(_ slot: Int, _ lookup: Lookup) {
        phases[slot] = .asking
        lookups[slot] = LookupProgress(socketsLeft: lookup.socketCount)
        openQuerySocket(slot, lookup)
    }

    private mutating func openQuerySocket(_ slot: Int, _ lookup: Lookup) {
        let lane = Int(owners[slot])
        do throws(SocketFailure) {
            try sockets.connectDatagrams(
                slot, to: server(of: slot), from: lanes[lane].source(Int(peers[slot])))
        } catch {
            lanes[lane].flows.failed += 1
            lanes[lane].flows.add(error, server(of: slot))
            noteGivenUp(slot, at: MonotonicClock.now())
            release(slot)
            return
        }
        lookups[slot].open = UInt8(truncatingIfNeeded: 1 << lookup.queriesPerSocket - 1)
        lookups[slot].sends = 0
        sendQueries(slot, lookup)
    }

    /// Sends the open queries of `slot`, one right behind the other.
    private mutating func sendQueries(_ slot: Int, _ lookup: Lookup) {
        let lane = Int(owners[slot])
        let peer = server(of: slot)
        for number in 0..<lookup.queriesPerSocket where lookups[slot].open & 1 << number != 0 {
            datagrams.add(Lookup.query(number).span, to: peer)
        }
        lookups[slot].sends += 1
        lanes[lane].flows.lookups.asked += 1
        var failures: [SocketFailure] = []
        let sent = datagrams.flush(by: slot, of: sockets) { failures.append($1) }
        lanes[lane].flows.datagrams += sent
        // What was not sent is not answered either: the wait is the same.
        for failure in failures { lanes[lane].flows.add(failure, peer) }
        wheel.set(slot, for: MonotonicClock.now() + lookup.timeout)
    }

    /// Something has come for the lookup in `slot`.
    mutating func receiveAnswers(_ slot: Int, _ event: Readiness) {
        let lane = Int(owners[slot])
        if event.hasFailed, let failure = sockets.failure(of: slot) {
            failLookup(slot, failure)
            return
        }
        guard let lookup = lanes[lane].workload.lookup else { return }
        do throws(SocketFailure) {
            while lookups[slot].open != 0, let count = try sockets.receive(slot) {
                let bytes = (0..<min(count, Lookup.byteCount)).map { sockets.received($0) }
                guard let number = Lookup.number(ofAnswer: bytes), number < 8,
                    lookups[slot].open & 1 << number != 0
                else { continue }
                lookups[slot].open &= ~(1 << number)
                lanes[lane].flows.answers += 1
            }
        } catch {
            failLookup(slot, error)
            return
        }
        guard lookups[slot].open == 0 else { return }
        lanes[lane].flows.lookups.answered += 1
        nextSocket(slot, lookup)
    }

    /// Not all answers have come in time: what is missing is asked for again, or given up.
    mutating func repeatQueries(_ slot: Int) {
        let lane = Int(owners[slot])
        guard let lookup = lanes[lane].workload.lookup else { return }
        noteLostAnswers(slot, lookup)
        if lookups[slot].sends < lookup.attempts {
            sendQueries(slot, lookup)
        } else if lookups[slot].socketsLeft > 1 {
            nextSocket(slot, lookup)
        } else {
            fail(slot, .unanswered)
        }
    }

    /// Counts the queries of `slot` that are given up.
    private mutating func noteLostAnswers(_ slot: Int, _ lookup: Lookup) {
        let lane = Int(owners[slot])
        let missing = lookups[slot].open.nonzeroBitCount
        lanes[lane].flows.lookups.lostAnswers += missing
        if missing < lookup.queriesPerSocket {
            lanes[lane].flows.lookups.partlyAnswered += 1
        } else {
            lanes[lane].flows.lookups.unanswered += 1
        }
    }

    /// The lookup in `slot` failed: of what was asked nothing more will come.
    mutating func failLookup(_ slot: Int, _ failure: SocketFailure) {
        if let lookup = lanes[Int(owners[slot])].workload.lookup { noteLostAnswers(slot, lookup) }
        // A datagram socket's failure is what came back, whichever call shows it.
        fail(slot, SocketFailure(.receive, failure.code))
    }

    /// The socket has done its part: the next one, or what the lookup was for.
    private mutating func nextSocket(_ slot: Int, _ lookup: Lookup) {
        let lane = Int(owners[slot])
        // The next socket's queries have a timer of their own.
        wheel.clear(slot)
        sockets.close(slot)
        lookups[slot].socketsLeft -= 1
        guard lookups[slot].socketsLeft == 0 else {
            openQuerySocket(slot, lookup)
            return
        }
        let latency = Latencies.microseconds(from: scheduled[slot], to: MonotonicClock.now())
        _ = lanes[lane].latencies.lookup.record(latency)
        guard lanes[lane].workload.transport == .udp else {
            connect(slot)
            return
        }
        // All that such a flow is about has come.
        _ = lanes[lane].latencies.complete.record(latency)
        lanes[lane].flows.completed += 1
        release(slot)
    }
}
