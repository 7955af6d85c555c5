import Conntrack
import Scenario
import Wire

// The client's application.

extension Simulation {
    // MARK: Beginning

    /// Begins an exchange of a workload, from the next of its addresses or from one machine.
    ///
    /// Returns its place, or `nil` where the workload has nothing more to begin.
    @discardableResult
    mutating func begin(
        _ workload: Int, from given: SourceAddress? = nil,
        parent: ExchangeReference = .none, sizes: (request: UInt32, response: UInt32)? = nil,
        front: UInt32 = .max
    ) -> UInt32? {
        guard workloads[workload].left > 0 else { return nil }
        workloads[workload].left -= 1
        let from = given ?? workloads[workload].nextSource()
        let generation = sockets.nextGeneration()
        var exchange = Exchange(
            generation: generation, workload: UInt32(workload), began: now, attemptBegan: now,
            station: UInt16(truncatingIfNeeded: from.station), family: from.address.family,
            port: 0, source: from.address.address, destination: .zero)
        workloads[workload].draw(&exchange)
        if let sizes {
            exchange.requestByteCount = sizes.request
            exchange.responseByteCount = sizes.response
        }
        exchange.parent = parent
        if front != .max {
            exchange.front = front
            exchange.frontGeneration = sockets[front].generation
        }
        workloads[workload].stats.started &+= 1
        workloads[workload].active += 1
        let index = exchanges.insert(exchange)
        attempt(index)
        return index
    }

    @inline(__always)
    func reference(_ index: UInt32) -> ExchangeReference {
        ExchangeReference(
            index: index, generation: exchanges[index].generation,
            workload: exchanges[index].workload)
    }

    /// The exchange a reference names, if it is still that one.
    @inline(__always)
    func exchange(_ reference: ExchangeReference) -> UInt32? {
        guard reference.index != .max,
            exchanges[reference.index].generation == reference.generation
        else { return nil }
        return reference.index
    }

    /// The exchange's socket, if it is still there.
    @inline(__always)
    func socket(of index: UInt32) -> UInt32? {
        let socket = exchanges[index].socket
        guard socket != .max, sockets[socket].generation == exchanges[index].socketGeneration
        else { return nil }
        return socket
    }

    mutating func attach(_ socket: UInt32, to index: UInt32) {
        exchanges[index].socket = socket
        exchanges[index].socketGeneration = sockets[socket].generation
    }

    /// Makes the next attempt of an exchange.
    private mutating func attempt(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        exchanges[index].attempt &+= 1
        exchanges[index].attemptBegan = now
        exchanges[index].requestsLeft = exchanges[index].requests
        exchanges[index].stamp = (exchanges[index].stamp &+ 1) & 0x7fff
        workloads[workload].stats.attempted &+= 1
        let timeout = workloads[workload].flow.timeout
        if timeout != .max, !workloads[workload].flow.isDatagram { setTimeout(index, timeout) }
        if let resolver = workloads[workload].flow.resolver {
            exchanges[index].phase = .resolving
            let from = SourceAddress(
                station: Int(exchanges[index].station),
                address: (exchanges[index].family, exchanges[index].source))
            begin(resolver, from: from, parent: reference(index))
            return
        }
        open(index)
    }

    /// The name is known: connect, or ask.
    mutating func open(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        exchanges[index].phase = .connecting
        guard let target = workloads[workload].nextTarget(exchanges[index].family) else {
            return attemptFailed(index, .unreachable)
        }
        exchanges[index].destination = target.address
        exchanges[index].port = target.port
        if workloads[workload].flow.isDatagram { return ask(index) }
        if let pool = workloads[workload].pool, takeFromPool(pool, index) { return }
        connectExchange(index, workloads[workload].pool)
    }

    /// Opens the connection of an exchange whose destination is known.
    mutating func connectExchange(_ index: UInt32, _ pool: Int?) {
        let workload = Int(exchanges[index].workload)
        let station = Int(exchanges[index].station)
        exchanges[index].phase = .connecting
        let timeout = workloads[workload].flow.connectTimeout
        if timeout != .max { setStep(index, timeout) }
        let generation = exchanges[index].generation
        let socket = connect(
            station, from: exchanges[index].source, to: exchanges[index].destination,
            exchanges[index].port, exchanges[index].family, reference(index),
            workloads[workload].flow.flow.sourcePort)
        guard let socket else {
            if let pool { giveUpPlace(pool, station) }
            return attemptFailed(index, .noPort)
        }
        // A refusal on the way may have come at once.
        guard exchanges[index].generation == generation, exchanges[index].phase == .connecting
        else {
            if let pool { giveUpPlace(pool, station) }
            return
        }
        if pool != nil { sockets[socket].isPooled = true }
        attach(socket, to: index)
    }

    // MARK: What the connection says

    /// The handshake is over.
    mutating func clientConnected(_ socket: UInt32) {
        guard let index = exchange(sockets[socket].exchange) else {
            return shutDown(socket, isAbrupt: true)
        }
        let workload = Int(exchanges[index].workload)
        attach(socket, to: index)
        workloads[workload].stats.connected &+= 1
        workloads[workload].stats.connect.record(now - exchanges[index].began)
        sockets[socket].receiveTarget = sockets[socket].receiveNext
        keepAlive(socket, workload)
        askNext(index)
    }

    private mutating func keepAlive(_ socket: UInt32, _ workload: Int) {
        let interval = workloads[workload].flow.keepAlive
        guard interval != .max else { return }
        sockets[socket].applicationDeadline = now + interval
        armTimer(socket)
    }

    /// Sends the next request of an exchange over its connection.
    mutating func askNext(_ index: UInt32) {
        guard let socket = socket(of: index) else { return attemptFailed(index, .reset) }
        exchanges[index].phase = .asking
        exchanges[index].asked = now
        exchanges[index].requestsLeft -= 1
        workloads[Int(exchanges[index].workload)].stats.requests &+= 1
        sockets[socket].receiveTarget &+= exchanges[index].responseByteCount
        let request = exchanges[index].requestByteCount
        let generation = exchanges[index].generation
        let closing = workloads[Int(exchanges[index].workload)].flow.flow.closing
        if exchanges[index].requestsLeft == 0, closing == .halfClose {
            sockets[socket].isFinQueued = true
        }
        write(request, socket)
        guard exchanges[index].generation == generation else { return }
        if exchanges[index].responseByteCount == 0 { answerComplete(index) }
    }

    /// Bytes have come that were not there before.
    mutating func applicationReceived(_ socket: UInt32) {
        guard !sockets[socket].receiveNext.precedes(sockets[socket].receiveTarget) else {
            return
        }
        if sockets[socket].isServer { return serverHeard(socket) }
        guard let index = exchange(sockets[socket].exchange) else { return }
        if sockets[socket].pushesLeft > 0, exchanges[index].phase == .holding {
            let workload = Int(exchanges[index].workload)
            workloads[workload].stats.pushesReceived &+= UInt64(sockets[socket].pushesLeft)
            sockets[socket].pushesLeft = 0
            return
        }
        guard exchanges[index].phase == .asking else { return }
        answerComplete(index)
    }

    /// A request has its response.
    mutating func countResponse(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        workloads[workload].stats.responses &+= 1
        workloads[workload].stats.response.record(now - exchanges[index].asked)
    }

    private mutating func answerComplete(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        if exchanges[index].responseByteCount > 0 { countResponse(index) }
        if exchanges[index].requestsLeft > 0 {
            exchanges[index].phase = .thinking
            let pause = workloads[workload].nanoseconds(workloads[workload].flow.flow.think)
            return pause == 0 ? askNext(index) : setStep(index, pause)
        }
        exchanges[index].phase = .holding
        if exchanges[index].front != .max {
            let generation = exchanges[index].generation
            backAnswered(index)
            guard exchanges[index].generation == generation else { return }
        }
        let closing = workloads[workload].flow.flow.closing
        if closing == .serverFIN || closing == .serverRST, workloads[workload].pool == nil {
            return
        }
        let hold = exchanges[index].hold
        if hold == 0 { leave(index) } else { setStep(index, hold) }
    }

    /// The client closes as its workload says.
    private mutating func leave(_ index: UInt32) {
        let live = socket(of: index)
        let workload = Int(exchanges[index].workload)
        if let live, let pool = workloads[workload].pool {
            complete(index)
            return giveBack(live, to: pool)
        }
        complete(index)
        guard let live else { return }
        switch workloads[workload].flow.flow.closing {
        case .clientFIN, .serverFIN, .serverRST, .halfClose, .ignoredFIN: shutDown(live)
        case .rst: shutDown(live, isAbrupt: true)
        case .abandon: abandon(live)
        }
    }

    /// Both ends go silent.
    private mutating func abandon(_ socket: UInt32) {
        let peer = sockets[socket].peer
        if peer != .max, sockets[peer].generation != 0,
            sockets[peer].exchange == sockets[socket].exchange
        {
            silence(peer)
        }
        silence(socket)
    }

    /// The socket stays, and nothing is heard of it any more.
    mutating func silence(_ socket: UInt32) {
        sockets[socket].state = .abandoned
        sockets[socket].deadline = .max
        sockets[socket].applicationDeadline = .max
    }

    /// The peer has closed its side.
    mutating func peerClosed(_ socket: UInt32) {
        let workload = sockets[socket].exchange.workload
        if sockets[socket].isServer {
            if sockets[socket].isAnswering { return }
            if workload != .max,
                workloads[Int(workload)].flow.flow.closing == .ignoredFIN
            {
                return
            }
            return shutDown(socket)
        }
        leavePool(socket)
        guard let index = exchange(sockets[socket].exchange),
            exchanges[index].socket == socket
        else { return shutDown(socket) }
        if exchanges[index].phase == .holding {
            complete(index)
        } else {
            attemptFailed(index, .reset)
        }
        if sockets[socket].generation != 0 { shutDown(socket) }
    }

    /// A client's connection is over in both directions while its application still has it.
    mutating func connectionOver(_ socket: UInt32) {
        guard let index = exchange(sockets[socket].exchange),
            exchanges[index].socket == socket
        else { return }
        if exchanges[index].phase == .holding {
            complete(index)
        } else {
            attemptFailed(index, .reset)
        }
    }

    /// A client's connection is gone.
    mutating func connectionFailed(
        _ socket: UInt32, _ reference: ExchangeReference, _ reason: FailureReason
    ) {
        guard let index = exchange(reference) else { return }
        let isOwn = exchanges[index].socket == socket || exchanges[index].phase == .connecting
        guard isOwn else { return }
        let closing = workloads[Int(reference.workload)].flow.flow.closing
        if exchanges[index].phase == .holding, reason == .reset,
            closing == .serverRST || closing == .rst
        {
            return complete(index)
        }
        attemptFailed(index, reason)
    }

    // MARK: Failing and ending

    /// An attempt has failed: another one after a pause, or the end.
    mutating func attemptFailed(_ index: UInt32, _ reason: FailureReason) {
        let workload = Int(exchanges[index].workload)
        let retry = workloads[workload].flow.flow.retry
        exchanges[index].socket = .max
        let made = Int(exchanges[index].attempt)
        let mayRetry = exchanges[index].phase != .holding && !workloads[workload].flow.isDatagram
        guard made < retry.attempts, made < 250, mayRetry else {
            workloads[workload].stats.failed[Int(reason.rawValue)] &+= 1
            return end(index, hasFailed: true)
        }
        exchanges[index].phase = .backingOff
        var backoff = Double(workloads[workload].nanoseconds(retry.backoff))
        for _ in 1..<max(1, made) { backoff *= retry.backoffFactor }
        setStep(index, UInt64(max(1, min(backoff, 1e18))))
    }

    mutating func complete(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        workloads[workload].stats.completed &+= 1
        workloads[workload].stats.completion.record(now - exchanges[index].began)
        end(index, hasFailed: false)
    }

    /// The exchange is over; who waits for it goes on, and a closed workload begins another.
    private mutating func end(_ index: UInt32, hasFailed: Bool) {
        let workload = Int(exchanges[index].workload)
        let ended = exchanges[index]
        exchanges[index].generation = 0
        exchanges.release(index)
        workloads[workload].active -= 1
        if let parent = exchange(ended.parent), exchanges[parent].phase == .resolving {
            if hasFailed { attemptFailed(parent, .lookup) } else { open(parent) }
        }
        if ended.front != .max { backEnded(ended, hasFailed: hasFailed) }
        exchangeEnded(workload)
    }

    // MARK: Timers

    /// Marks an event's `small` as the timeout of an attempt; else it is a step's stamp.
    private static let timeoutBit: UInt16 = 0x8000

    private mutating func setTimeout(_ index: UInt32, _ after: UInt64) {
        queue.push(
            Event(
                .flowTimer, at: now.addingOrMax(after), index,
                extra: exchanges[index].generation,
                small: Self.timeoutBit | UInt16(exchanges[index].attempt)))
    }

    mutating func setStep(_ index: UInt32, _ after: UInt64) {
        exchanges[index].stamp = (exchanges[index].stamp &+ 1) & 0x7fff
        queue.push(
            Event(
                .flowTimer, at: now.addingOrMax(after), index,
                extra: exchanges[index].generation, small: exchanges[index].stamp))
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
        case .asking: if isDatagram { repeatQuestion(index) }
        case .connecting: giveUp(index)
        case .resolving, .queueing: break
        }
    }

    /// The application has waited long enough and closes.
    private mutating func giveUp(_ index: UInt32) {
        let phase = exchanges[index].phase
        guard phase != .holding, phase != .backingOff else { return }
        let live = socket(of: index)
        let isAbrupt = workloads[Int(exchanges[index].workload)].flow.flow.retry.givesUpWithReset
        attemptFailed(index, phase == .connecting ? .connectTimeout : .timeout)
        guard let live, sockets[live].generation != 0 else { return }
        shutDown(live, isAbrupt: isAbrupt)
    }
}
