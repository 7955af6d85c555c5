import Conntrack
import Wire

// The client's application.

extension Simulation {
    // MARK: Beginning

    /// Begins an exchange of a workload.
    mutating func begin(_ workload: Int) {
        let from = workloads[workload].nextSource()
        let target = workloads[workload].nextTarget(from.address.family)
        let plan = workloads[workload].flow
        let generation = sockets.nextGeneration()
        var exchange = Exchange(
            generation: generation, workload: UInt32(workload), began: now, attemptBegan: now,
            station: UInt16(truncatingIfNeeded: from.station), family: from.address.family,
            port: target.port, source: from.address.address, destination: target.address)
        exchange.requestsLeft = max(1, UInt16(clamping: workloads[workload].count(plan.requests)))
        exchange.hold = workloads[workload].nanoseconds(plan.hold)
        exchange.requestByteCount = workloads[workload].byteCount(plan.request)
        exchange.responseByteCount = workloads[workload].byteCount(plan.response)
        workloads[workload].stats.started &+= 1
        workloads[workload].active += 1
        let index = exchanges.insert(exchange)
        attempt(index)
    }

    /// Makes the next attempt of an exchange.
    private mutating func attempt(_ index: UInt32) {
        let exchange = exchanges[index]
        let workload = Int(exchange.workload)
        let plan = workloads[workload].flow
        exchanges[index].attempt += 1
        exchanges[index].attemptBegan = now
        exchanges[index].phase = .connecting
        exchanges[index].stamp &+= 1
        workloads[workload].stats.attempted &+= 1
        if plan.timeout != .max { setTimeout(index, plan.timeout) }
        let reference = ExchangeReference(
            index: index, generation: exchange.generation, workload: exchange.workload)
        if plan.isDatagram { return ask(index, reference) }
        let socket = connect(
            Int(exchange.station), from: exchange.source, to: exchange.destination,
            exchange.port, exchange.family, reference)
        guard let socket else { return attemptFailed(index, .noPort) }
        // A refusal on the way may have come at once.
        guard exchanges[index].generation == exchange.generation,
            exchanges[index].phase == .connecting
        else { return }
        exchanges[index].socket = socket
    }

    /// The exchange a reference names, if it is still that one.
    @inline(__always)
    func exchange(_ reference: ExchangeReference) -> UInt32? {
        guard reference.index != .max,
            exchanges[reference.index].generation == reference.generation
        else { return nil }
        return reference.index
    }

    // MARK: What the connection says

    /// The handshake is over.
    mutating func clientConnected(_ socket: UInt32) {
        guard let index = exchange(sockets[socket].exchange) else {
            return shutDown(socket, isAbrupt: true)
        }
        let workload = Int(exchanges[index].workload)
        exchanges[index].socket = socket
        workloads[workload].stats.connected &+= 1
        workloads[workload].stats.connect.record(now - exchanges[index].attemptBegan)
        sockets[socket].receiveTarget = sockets[socket].receiveNext
        askNext(index)
    }

    /// Sends the next request of an exchange over its connection.
    private mutating func askNext(_ index: UInt32) {
        let socket = exchanges[index].socket
        exchanges[index].phase = .asking
        exchanges[index].requestsLeft -= 1
        sockets[socket].receiveTarget &+= exchanges[index].responseByteCount
        let request = exchanges[index].requestByteCount
        if request > 0 { write(request, socket) }
        if exchanges[index].responseByteCount == 0 { answerComplete(index) }
    }

    /// Bytes have come that were not there before.
    mutating func applicationReceived(_ socket: UInt32) {
        guard
            !sockets[socket].receiveNext.precedes(sockets[socket].receiveTarget)
        else { return }
        if sockets[socket].isServer { return serverHeard(socket) }
        guard let index = exchange(sockets[socket].exchange),
            exchanges[index].phase == .asking
        else { return }
        answerComplete(index)
    }

    private mutating func answerComplete(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        if exchanges[index].requestsLeft > 0 {
            exchanges[index].phase = .thinking
            let pause = workloads[workload].nanoseconds(workloads[workload].flow.think)
            return pause == 0 ? askNext(index) : setStep(index, pause)
        }
        workloads[workload].stats.answered(now - exchanges[index].began)
        exchanges[index].phase = .holding
        // From here on the application waits for nothing.
        exchanges[index].attempt |= 0x80
        if workloads[workload].flow.close == .serverFin { return }
        let hold = exchanges[index].hold
        if hold == 0 { leave(index) } else { setStep(index, hold) }
    }

    /// The client closes as its workload says.
    private mutating func leave(_ index: UInt32) {
        let socket = exchanges[index].socket
        let close = workloads[Int(exchanges[index].workload)].flow.close
        complete(index)
        guard socket != .max else { return }
        switch close {
        case .clientFin, .serverFin: shutDown(socket)
        case .reset: shutDown(socket, isAbrupt: true)
        case .abandon:
            sockets[socket].state = .abandoned
            sockets[socket].deadline = .max
        }
    }

    /// The peer has closed its side.
    mutating func peerClosed(_ socket: UInt32) {
        if sockets[socket].isServer {
            if !sockets[socket].isAnswering { shutDown(socket) }
            return
        }
        guard let index = exchange(sockets[socket].exchange) else { return shutDown(socket) }
        if exchanges[index].phase == .holding {
            complete(index)
        } else {
            attemptFailed(index, .closedEarly)
        }
        shutDown(socket)
    }

    /// A client's connection is gone.
    mutating func connectionFailed(_ reference: ExchangeReference, _ reason: FailureReason) {
        guard let index = exchange(reference) else { return }
        exchanges[index].socket = .max
        attemptFailed(index, reason)
    }

    // MARK: Failing and ending

    /// An attempt has failed: another one after a pause, or the end.
    mutating func attemptFailed(_ index: UInt32, _ reason: FailureReason) {
        let workload = Int(exchanges[index].workload)
        let plan = workloads[workload].flow
        workloads[workload].stats.attemptsFailed[Int(reason.rawValue)] &+= 1
        exchanges[index].socket = .max
        let made = exchanges[index].attempt & 0x7f
        guard made < plan.attempts, exchanges[index].attempt & 0x80 == 0,
            workloads[workload].isRunning
        else {
            workloads[workload].stats.failed[Int(reason.rawValue)] &+= 1
            return end(index)
        }
        exchanges[index].phase = .backingOff
        setStep(index, plan.backoff)
    }

    private mutating func complete(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        workloads[workload].stats.completed &+= 1
        end(index)
    }

    /// The exchange is over; a closed workload begins another.
    mutating func end(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        exchanges[index].generation = 0
        exchanges.release(index)
        workloads[workload].active -= 1
        exchangeEnded(workload)
    }

    // MARK: Timers

    /// `small`: the attempt for an application's timeout, with the high bit; a stamp for a step.
    private static let timeoutBit: UInt16 = 0x8000

    private mutating func setTimeout(_ index: UInt32, _ after: UInt64) {
        queue.push(
            Event(
                .flowTimer, at: now + after, index, extra: exchanges[index].generation,
                small: Self.timeoutBit | UInt16(exchanges[index].attempt)))
    }

    mutating func setStep(_ index: UInt32, _ after: UInt64) {
        exchanges[index].stamp = (exchanges[index].stamp &+ 1) & 0x7fff
        queue.push(
            Event(
                .flowTimer, at: now + after, index, extra: exchanges[index].generation,
                small: exchanges[index].stamp))
    }

    mutating func flowTimer(_ event: Event) {
        let index = event.index
        guard exchanges[index].generation == event.extra, event.extra != 0 else { return }
        if event.small & Self.timeoutBit != 0 {
            guard UInt16(exchanges[index].attempt) == event.small & 0xff else { return }
            return giveUp(index)
        }
        guard exchanges[index].stamp == event.small else { return }
        let isDatagram = workloads[Int(exchanges[index].workload)].flow.isDatagram
        switch exchanges[index].phase {
        case .backingOff: attempt(index)
        case .thinking: isDatagram ? askAgain(index) : askNext(index)
        case .holding: isDatagram ? leaveQuietly(index) : leave(index)
        case .asking: isDatagram ? repeatQuestion(index) : ()
        case .connecting, .leaving: break
        }
    }

    /// The application has waited long enough and closes.
    private mutating func giveUp(_ index: UInt32) {
        let phase = exchanges[index].phase
        guard phase != .holding, phase != .backingOff else { return }
        let socket = exchanges[index].socket
        attemptFailed(index, .applicationTimeout)
        guard socket != .max else { return }
        if sockets[socket].state == .datagram {
            sockets.remove(socket)
        } else {
            shutDown(socket)
        }
    }
}
