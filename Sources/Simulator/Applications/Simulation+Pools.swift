import Conntrack
import Scenario
import Wire

// Connections that requests share: each machine of a workload keeps at most so many, gives a
// request one that is idle, opens another where there is room, and lets it wait where there is
// none.

/// The connections of one workload's machines.
struct PoolState {
    struct Member {
        var openCount = 0
        var idle: [(socket: UInt32, generation: UInt32)] = []
        var waiting: [ExchangeReference] = []
        var waitingHead = 0
    }

    var size: Int
    /// Nanoseconds after which a connection nobody uses is closed.
    var idleTime: UInt64
    /// By station.
    var members: [Member]
}

extension Simulation {
    /// Gives an exchange an idle connection, or lets it wait; false where it opens one itself.
    mutating func takeFromPool(_ pool: Int, _ index: UInt32) -> Bool {
        let station = Int(exchanges[index].station)
        while let (socket, generation) = pools[pool].members[station].idle.popLast() {
            guard sockets[socket].generation == generation,
                sockets[socket].state == .established
            else { continue }
            use(socket, index)
            return true
        }
        if pools[pool].members[station].openCount < pools[pool].size {
            pools[pool].members[station].openCount += 1
            return false
        }
        exchanges[index].phase = .queueing
        pools[pool].members[station].waiting.append(reference(index))
        return true
    }

    private mutating func use(_ socket: UInt32, _ index: UInt32) {
        attach(socket, to: index)
        sockets[socket].exchange = reference(index)
        sockets[socket].applicationDeadline = .max
        sockets[socket].receiveTarget = sockets[socket].receiveNext
        askNext(index)
    }

    /// The connection could not be opened.
    mutating func giveUpPlace(_ pool: Int, _ station: Int) {
        pools[pool].members[station].openCount -= 1
    }

    /// An exchange is done with a connection: the next one takes it, or it is idle.
    mutating func giveBack(_ socket: UInt32, to pool: Int) {
        let station = Int(sockets[socket].key.station)
        if let next = nextWaiting(pool, station) { return use(socket, next) }
        pools[pool].members[station].idle.append((socket, sockets[socket].generation))
        sockets[socket].applicationDeadline = now.addingOrMax(pools[pool].idleTime)
        armTimer(socket)
    }

    private mutating func nextWaiting(_ pool: Int, _ station: Int) -> UInt32? {
        while pools[pool].members[station].waitingHead < pools[pool].members[station].waiting.count
        {
            let head = pools[pool].members[station].waitingHead
            let next = pools[pool].members[station].waiting[head]
            pools[pool].members[station].waitingHead += 1
            if head + 1 == pools[pool].members[station].waiting.count {
                pools[pool].members[station].waiting.removeAll(keepingCapacity: true)
                pools[pool].members[station].waitingHead = 0
            }
            if let index = exchange(next), exchanges[index].phase == .queueing { return index }
        }
        return nil
    }

    /// A pooled connection is gone: one that waits may open another.
    mutating func leavePool(_ socket: UInt32) {
        guard sockets[socket].isPooled else { return }
        sockets[socket].isPooled = false
        let workload = sockets[socket].exchange.workload
        guard workload != .max, let pool = workloads[Int(workload)].pool else { return }
        let station = Int(sockets[socket].key.station)
        giveUpPlace(pool, station)
        if let next = nextWaiting(pool, station) { connectExchange(next, pool) }
    }

    /// A client's own timer: keep-alive, or the end of an idle pooled connection.
    mutating func clientTimer(_ socket: UInt32) {
        let workload = sockets[socket].exchange.workload
        guard workload != .max else { return }
        if sockets[socket].isPooled {
            let isInUse =
                exchange(sockets[socket].exchange).map { exchanges[$0].socket == socket } ?? false
            if !isInUse { shutDown(socket) }
            return
        }
        let interval = workloads[Int(workload)].flow.keepAlive
        guard interval != .max, sockets[socket].state == .established else { return }
        let silence = now - min(now, sockets[socket].heardAt)
        guard silence >= interval else {
            sockets[socket].probes = 0
            sockets[socket].applicationDeadline = sockets[socket].heardAt + interval
            return armTimer(socket)
        }
        guard sockets[socket].probes < TCPNumbers.keepAliveProbes else {
            return fail(socket, .timeout)
        }
        sockets[socket].probes += 1
        sendProbe(socket)
        sockets[socket].applicationDeadline =
            now + min(interval, TCPNumbers.keepAliveInterval)
        armTimer(socket)
    }
}
