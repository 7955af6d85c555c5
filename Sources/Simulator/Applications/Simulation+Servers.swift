import Conntrack
import Scenario
import Wire

// The server's application: it reads a request, takes its time, answers, and closes when told to.

extension Simulation {
    /// What the server will do with a connection, from what the client means to ask.
    mutating func prepareServer(_ socket: inout Socket, _ reference: ExchangeReference) {
        guard let index = exchange(reference) else { return }
        let workload = Int(reference.workload)
        socket.requestByteCount = exchanges[index].requestByteCount
        socket.responseByteCount = exchanges[index].responseByteCount
        // All of an attempt's: behind a SYN cookie the client may have sent one already.
        socket.requestsLeft =
            workloads[workload].pool == nil ? exchanges[index].requests : .max
        socket.pushesLeft = workloads[workload].flow.pushCount
    }

    /// The handshake is over on the server's side.
    mutating func serverAccepted(_ socket: UInt32) {
        stats[Int(sockets[socket].key.station)].accepted &+= 1
        sockets[socket].receiveTarget =
            sockets[socket].receiveNext &+ sockets[socket].requestByteCount
        if sockets[socket].requestByteCount == 0, sockets[socket].requestsLeft != .max {
            serverHeard(socket)
        }
    }

    /// Another exchange uses the connection: its sizes count from here on.
    mutating func takeOver(_ socket: UInt32, _ reference: ExchangeReference) {
        guard let index = exchange(reference) else { return }
        sockets[socket].exchange = reference
        sockets[socket].requestByteCount = exchanges[index].requestByteCount
        sockets[socket].responseByteCount = exchanges[index].responseByteCount
        sockets[socket].receiveTarget =
            sockets[socket].receiveNext &+ exchanges[index].requestByteCount
    }

    /// A whole request is there.
    mutating func serverHeard(_ socket: UInt32) {
        let listener = Int(truncatingIfNeeded: Int32(bitPattern: sockets[socket].listener))
        guard sockets[socket].requestsLeft > 0, !sockets[socket].isAnswering,
            !sockets[socket].isOrphan, listener >= 0
        else { return }
        let behaviour = listeners[listener].behaviour
        guard behaviour != .silent else { return }
        if sockets[socket].requestsLeft != .max { sockets[socket].requestsLeft -= 1 }
        sockets[socket].isAnswering = true
        if let workers = listeners[listener].workers {
            if listeners[listener].busyCount >= workers {
                return listeners[listener].waiting.append(
                    (socket, sockets[socket].generation))
            }
            listeners[listener].busyCount += 1
            sockets[socket].hasWorker = true
        }
        work(socket, listener)
    }

    /// A worker begins with a request.
    private mutating func work(_ socket: UInt32, _ listener: Int) {
        if case .proxy(let workload) = listeners[listener].behaviour {
            return passOn(socket, workload)
        }
        let processing = listeners[listener].processing
        let time = UInt64(listeners[listener].sampler.draw(processing, limit: 1e15))
        if time == 0 { return answer(socket) }
        sockets[socket].applicationDeadline = now + time
        armTimer(socket)
    }

    /// A worker is done, or its caller has gone: the next request that waits is begun.
    mutating func releaseWorker(_ socket: UInt32) {
        guard sockets[socket].hasWorker else { return }
        sockets[socket].hasWorker = false
        let listener = Int(sockets[socket].listener)
        listeners[listener].busyCount -= 1
        while listeners[listener].waitingHead < listeners[listener].waiting.count {
            let next = listeners[listener].waiting[listeners[listener].waitingHead]
            listeners[listener].waitingHead += 1
            if listeners[listener].waitingHead == listeners[listener].waiting.count {
                listeners[listener].waiting.removeAll(keepingCapacity: true)
                listeners[listener].waitingHead = 0
            }
            guard sockets[next.socket].generation == next.generation else { continue }
            listeners[listener].busyCount += 1
            sockets[next.socket].hasWorker = true
            return work(next.socket, listener)
        }
    }

    /// A socket's application timer: the answer, a message nobody asked for, the end; a client's
    /// keep-alive probe, or the end of an idle connection.
    mutating func applicationTimer(_ socket: UInt32) {
        guard sockets[socket].isServer else { return clientTimer(socket) }
        if sockets[socket].isAnswering {
            answer(socket)
        } else if sockets[socket].pushesLeft > 0 {
            push(socket)
        } else {
            closeFromServer(socket)
        }
    }

    private mutating func closeFromServer(_ socket: UInt32) {
        let workload = sockets[socket].exchange.workload
        let isAbrupt =
            workload != .max && workloads[Int(workload)].flow.flow.closing == .serverRST
        shutDown(socket, isAbrupt: isAbrupt)
    }

    /// The answer leaves.
    mutating func answer(_ socket: UInt32) {
        sockets[socket].isAnswering = false
        sockets[socket].receiveTarget &+= sockets[socket].requestByteCount
        let generation = sockets[socket].generation
        write(sockets[socket].responseByteCount, socket)
        guard sockets[socket].generation == generation else { return }
        let hasMore = sockets[socket].requestsLeft > 0
        if !hasMore, sockets[socket].pushesLeft > 0 {
            schedulePush(socket)
        } else if !hasMore, sockets[socket].state != .closeWait {
            endAfterAnswer(socket)
        }
        guard sockets[socket].generation == generation else { return }
        let isEnd = sockets[socket].state == .closeWait && sockets[socket].pushesLeft == 0
        if isEnd, !ignoresFIN(socket) { shutDown(socket) }
        guard sockets[socket].generation == generation else { return }
        releaseWorker(socket)
    }

    private func ignoresFIN(_ socket: UInt32) -> Bool {
        let workload = sockets[socket].exchange.workload
        return workload != .max && workloads[Int(workload)].flow.flow.closing == .ignoredFIN
    }

    /// The server closes a while after its last answer, where that is its part.
    private mutating func endAfterAnswer(_ socket: UInt32) {
        let workload = sockets[socket].exchange.workload
        guard workload != .max, workloads[Int(workload)].pool == nil else { return }
        let closing = workloads[Int(workload)].flow.flow.closing
        guard closing == .serverFIN || closing == .serverRST else { return }
        let hold = exchange(sockets[socket].exchange).map { exchanges[$0].hold } ?? 0
        if hold == 0 { return closeFromServer(socket) }
        sockets[socket].applicationDeadline = now.addingOrMax(hold)
        armTimer(socket)
    }

    // MARK: Messages nobody asked for

    private mutating func schedulePush(_ socket: UInt32) {
        let workload = Int(sockets[socket].exchange.workload)
        guard let push = workloads[workload].flow.flow.push else { return }
        let pause = workloads[workload].nanoseconds(push.every)
        sockets[socket].applicationDeadline = now.addingOrMax(max(1, pause))
        armTimer(socket)
    }

    private mutating func push(_ socket: UInt32) {
        let workload = Int(sockets[socket].exchange.workload)
        sockets[socket].pushesLeft -= 1
        workloads[workload].stats.pushes &+= 1
        guard let push = workloads[workload].flow.flow.push else { return }
        let byteCount = workloads[workload].byteCount(push.size)
        announce(byteCount, from: socket)
        let generation = sockets[socket].generation
        write(byteCount, socket)
        guard sockets[socket].generation == generation else { return }
        if sockets[socket].pushesLeft > 0 {
            schedulePush(socket)
        } else {
            endAfterAnswer(socket)
        }
    }

    /// Tells the other side's application what it is to wait for, as a message's own length would.
    private mutating func announce(_ byteCount: UInt32, from socket: UInt32) {
        let peer = sockets[socket].peer
        guard peer != .max, sockets[peer].generation != 0, !sockets[peer].isServer,
            sockets[peer].exchange == sockets[socket].exchange
        else { return }
        sockets[peer].receiveTarget &+= byteCount
        sockets[peer].pushesLeft += 1
    }
}
