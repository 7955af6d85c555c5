import Conntrack
import Scenario
import Wire

// The server's application where it is asked by datagrams: it takes its time, or waits for a worker,
// answers, and may say something unasked afterwards.

extension Flight {
    /// Marks an answer behind which messages nobody asked for follow.
    static let hasPushes: UInt8 = 0x80
    /// Marks a message nobody asked for.
    static let isPush: UInt8 = 0x40
}

extension Simulation {
    /// Datagrams a socket holds while every worker is busy: `net.core.rmem_default`, 212 992 bytes,
    /// over what the kernel charges a small one, 768.
    private static let datagramQueue = 277

    /// A datagram for a port somebody listens on: the answer leaves at once, or after the
    /// service's time.
    mutating func serveDatagram(_ flight: Flight, _ listener: UInt32, _ station: Int) {
        let workload = flight.exchange.workload
        guard let tuple = flight.packet.tuple.inverted, workload != .max else { return }
        stats[station].accepted &+= 1
        let place = Int(listener)
        guard listeners[place].behaviour != .silent, let index = exchange(flight.exchange) else {
            return
        }
        let hasPushes =
            workloads[Int(workload)].flow.pushCount > 0 && exchanges[index].requestsLeft == 0
        let byteCount = exchanges[index].responseByteCount
        guard byteCount > 0 || hasPushes else { return }
        var answer = answer(byteCount, to: flight, tuple, station)
        if hasPushes { answer.question |= Flight.hasPushes }
        guard let workers = listeners[place].workers else {
            return work(on: answer, listener, hasWorker: false)
        }
        if listeners[place].busyCount < workers {
            listeners[place].busyCount += 1
            return work(on: answer, listener, hasWorker: true)
        }
        guard listeners[place].waiting.count - listeners[place].waitingHead < Self.datagramQueue
        else { return drop(flight, PacketFate.backlog, at: station) }
        listeners[place].waiting.append((flights.insert(answer), 0))
    }

    private func answer(
        _ byteCount: UInt32, to flight: Flight, _ tuple: Tuple, _ station: Int
    ) -> Flight {
        let size = byteCount &+ 8
        var packet = Packet(
            tuple: tuple, networkByteCount: size &+ Self.headerByteCount(tuple.family),
            transportByteCount: size)
        packet.lengthField = UInt16(clamping: size)
        var answer = Flight(packet, receiver: flight.sender, flight.exchange)
        answer.question = flight.question
        answer.place = UInt32(truncatingIfNeeded: station)
        return answer
    }

    /// A worker, or the listener itself, begins with an answer.
    private mutating func work(on answer: Flight, _ listener: UInt32, hasWorker: Bool) {
        let processing = listeners[Int(listener)].processing
        let time = UInt64(listeners[Int(listener)].sampler.draw(processing, limit: 1e15))
        guard time > 0 else {
            reply(answer)
            if hasWorker { releaseDatagramWorker(listener) }
            return
        }
        queue.push(
            Event(
                .answerDue, at: now + time, flights.insert(answer),
                extra: hasWorker ? listener : .max))
    }

    /// A service has made its answer, or says something unasked.
    mutating func answerDue(_ event: Event) {
        let flight = flights[event.index]
        flights.release(event.index)
        if flight.question & Flight.isPush != 0 { return push(flight, left: event.extra) }
        reply(flight)
        if event.extra != .max { releaseDatagramWorker(event.extra) }
    }

    private mutating func reply(_ answer: Flight) {
        var answer = answer
        let hasPushes = answer.question & Flight.hasPushes != 0
        answer.question &= ~Flight.hasPushes
        if hasPushes {
            schedulePush(
                like: answer, left: workloads[Int(answer.exchange.workload)].flow.pushCount)
        }
        // No answer is wanted, where there is none.
        guard answer.packet.transportByteCount > 8 else { return }
        transmit(answer, from: Int(answer.place))
    }

    private mutating func releaseDatagramWorker(_ listener: UInt32) {
        let place = Int(listener)
        listeners[place].busyCount -= 1
        guard listeners[place].waitingHead < listeners[place].waiting.count else { return }
        let next = listeners[place].waiting[listeners[place].waitingHead].socket
        listeners[place].waitingHead += 1
        if listeners[place].waitingHead == listeners[place].waiting.count {
            listeners[place].waiting.removeAll(keepingCapacity: true)
            listeners[place].waitingHead = 0
        }
        listeners[place].busyCount += 1
        let answer = flights[next]
        flights.release(next)
        work(on: answer, listener, hasWorker: true)
    }

    // MARK: Messages nobody asked for

    private mutating func schedulePush(like answer: Flight, left: UInt32) {
        let workload = Int(answer.exchange.workload)
        guard let push = workloads[workload].flow.flow.push else { return }
        let pause = workloads[workload].nanoseconds(push.every)
        let size = workloads[workload].byteCount(push.size) &+ 8
        let tuple = answer.packet.tuple
        var packet = Packet(
            tuple: tuple, networkByteCount: size &+ Self.headerByteCount(tuple.family),
            transportByteCount: size)
        packet.lengthField = UInt16(clamping: size)
        var flight = answer
        flight.packet = packet
        flight.question = Flight.isPush
        queue.push(
            Event(
                .answerDue, at: now.addingOrMax(max(1, pause)), flights.insert(flight),
                extra: left))
    }

    private mutating func push(_ flight: Flight, left: UInt32) {
        workloads[Int(flight.exchange.workload)].stats.pushes &+= 1
        transmit(flight, from: Int(flight.place))
        if left > 1 { schedulePush(like: flight, left: left - 1) }
    }
}
