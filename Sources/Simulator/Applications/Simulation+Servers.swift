import Conntrack
import Wire

// The server's application: it reads a request, takes its time, answers, and closes when told to.

extension Simulation {
    /// What the server will do with a connection, from what the client means to ask.
    mutating func prepareServer(_ socket: inout Socket, _ reference: ExchangeReference) {
        guard let index = exchange(reference) else { return }
        socket.requestByteCount = exchanges[index].requestByteCount
        socket.responseByteCount = exchanges[index].responseByteCount
        socket.requestsLeft = exchanges[index].requestsLeft
    }

    /// The handshake is over on the server's side.
    mutating func serverAccepted(_ socket: UInt32) {
        sockets[socket].receiveTarget =
            sockets[socket].receiveNext &+ sockets[socket].requestByteCount
        if sockets[socket].requestByteCount == 0 { serverHeard(socket) }
    }

    /// A whole request is there.
    mutating func serverHeard(_ socket: UInt32) {
        guard sockets[socket].requestsLeft > 0, !sockets[socket].isAnswering,
            !sockets[socket].isOrphan
        else { return }
        sockets[socket].requestsLeft -= 1
        sockets[socket].isAnswering = true
        let listener = sockets[socket].listener
        let time = listener == .max ? 0 : listeners[Int(listener)].serviceTime
        if time == 0 { return answer(socket) }
        sockets[socket].applicationDeadline = now + time
        armTimer(socket)
    }

    /// The server's application acts: answers, or closes.
    mutating func serverActs(_ socket: UInt32) {
        if sockets[socket].isAnswering { answer(socket) } else { shutDown(socket) }
    }

    private mutating func answer(_ socket: UInt32) {
        sockets[socket].isAnswering = false
        sockets[socket].receiveTarget &+= sockets[socket].requestByteCount
        let generation = sockets[socket].generation
        write(sockets[socket].responseByteCount, socket)
        guard sockets[socket].generation == generation else { return }
        if sockets[socket].state == .closeWait { return shutDown(socket) }
        guard sockets[socket].requestsLeft == 0,
            sockets[socket].exchange.workload != .max,
            workloads[Int(sockets[socket].exchange.workload)].flow.close == .serverFin
        else { return }
        let hold = exchange(sockets[socket].exchange).map { exchanges[$0].hold } ?? 0
        if hold == 0 { return shutDown(socket) }
        sockets[socket].applicationDeadline = now + hold
        armTimer(socket)
    }

    /// A datagram for a port somebody listens on: the answer leaves at once, or after the
    /// service's time.
    mutating func serveDatagram(_ flight: Flight, _ listener: UInt32, _ station: Int) {
        guard let tuple = flight.packet.tuple.inverted else { return }
        let workload = flight.exchange.workload
        guard workload != .max else { return }
        workloads[Int(workload)].stats.delivered &+= 1
        guard let index = exchange(flight.exchange) else { return }
        let byteCount = exchanges[index].responseByteCount
        guard byteCount > 0 else { return }
        let time = listeners[Int(listener)].serviceTime
        guard time > 0 else {
            sendDatagram(
                byteCount, question: flight.question, tuple, from: station, to: flight.sender,
                flight.exchange)
            return
        }
        var later = flight
        later.packet.tuple = tuple
        later.receiver = flight.sender
        later.sender = .max
        later.packet.networkByteCount = byteCount &+ 8 &+ Self.headerByteCount(tuple.family)
        later.packet.transportByteCount = byteCount &+ 8
        later.packet.lengthField = UInt16(clamping: byteCount &+ 8)
        later.packet.timeToLive = 64
        later.packet.health = []
        later.place = UInt32(station)
        queue.push(Event(.answerDue, at: now + time, flights.insert(later)))
    }

    /// A service has made its answer.
    mutating func answerDue(_ event: Event) {
        let flight = flights[event.index]
        flights.release(event.index)
        transmit(flight, from: Int(flight.place))
    }
}
