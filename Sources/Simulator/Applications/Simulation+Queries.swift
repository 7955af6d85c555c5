import Conntrack
import Scenario
import Wire

// Applications that ask with datagrams: one question or two from one socket (A and AAAA), repeated
// where no answer comes, again and again where the exchange has more than one request.

extension Simulation {
    /// Sends the first questions of an exchange.
    mutating func ask(_ index: UInt32) {
        guard openQuerySocket(index) else { return attemptFailed(index, .noPort) }
        askAgain(index)
    }

    /// Opens the socket of an exchange; a fixed port is one socket for all of them.
    private mutating func openQuerySocket(_ index: UInt32) -> Bool {
        let exchange = exchanges[index]
        let plan = workloads[Int(exchange.workload)].flow
        var port: UInt16 = 0
        if case .fixed(let fixed) = plan.flow.sourcePort { port = fixed }
        let socket = openDatagram(
            Int(exchange.station), plan.transport, from: exchange.source, port: port,
            to: exchange.destination, exchange.port, exchange.family, reference(index),
            plan.flow.sourcePort)
        guard let socket else { return false }
        attach(socket, to: index)
        return true
    }

    private mutating func closeQuerySocket(_ index: UInt32) {
        guard let socket = socket(of: index) else { return }
        exchanges[index].socket = .max
        closeDatagram(socket)
    }

    /// Sends the next request over the exchange's socket.
    mutating func askAgain(_ index: UInt32) {
        let plan = workloads[Int(exchanges[index].workload)].flow
        let isFirst = exchanges[index].requestsLeft == exchanges[index].requests
        if !isFirst, plan.opensSocketPerRequest || plan.flow.sourcePort == .perPacket {
            closeQuerySocket(index)
            guard openQuerySocket(index) else { return attemptFailed(index, .noPort) }
        }
        exchanges[index].requestsLeft -= 1
        exchanges[index].sends = 0
        exchanges[index].asked = now
        workloads[Int(exchanges[index].workload)].stats.requests &+= 1
        exchanges[index].openQuestions = (1 << min(plan.questions, 7)) - 1
        exchanges[index].phase = .asking
        sendQuestions(index)
    }

    private mutating func sendQuestions(_ index: UInt32) {
        let generation = exchanges[index].generation
        let workload = Int(exchanges[index].workload)
        let plan = workloads[workload].flow
        exchanges[index].sends &+= 1
        for question in UInt8(0)..<7 where exchanges[index].openQuestions & 1 << question != 0 {
            guard let socket = socket(of: index) else {
                return attemptFailed(index, .reset)
            }
            if exchanges[index].sends > 1 { workloads[workload].stats.repeatedQueries &+= 1 }
            sendDatagram(
                exchanges[index].requestByteCount, question: question, from: socket,
                reference(index))
            guard exchanges[index].generation == generation,
                exchanges[index].phase == .asking
            else { return }
        }
        if exchanges[index].responseByteCount == 0 { return allAnswered(index) }
        setStep(index, plan.questionTimeout)
    }

    /// Nobody has answered in time: the open questions are asked again from the same socket.
    mutating func repeatQuestion(_ index: UInt32) {
        let attempts = workloads[Int(exchanges[index].workload)].flow.flow.retry.attempts
        if Int(exchanges[index].sends) < min(attempts, 250) {
            return sendQuestions(index)
        }
        if exchanges[index].requestsLeft > 0 { return nextRequest(index) }
        closeQuerySocket(index)
        attemptFailed(index, .timeout)
    }

    /// A datagram has come for a socket.
    mutating func answered(_ flight: Flight, _ socket: UInt32) {
        guard let index = exchange(flight.exchange), self.socket(of: index) == socket else {
            return
        }
        if flight.question & Flight.isPush != 0 {
            workloads[Int(flight.exchange.workload)].stats.pushesReceived &+= 1
            return
        }
        guard exchanges[index].phase == .asking,
            exchanges[index].openQuestions & 1 << flight.question != 0
        else { return }
        exchanges[index].openQuestions &= ~(1 << flight.question)
        guard exchanges[index].openQuestions == 0 else { return }
        let workload = Int(exchanges[index].workload)
        if exchanges[index].requestsLeft + 1 == exchanges[index].requests {
            workloads[workload].stats.connected &+= 1
            workloads[workload].stats.connect.record(now - exchanges[index].began)
        }
        countResponse(index)
        allAnswered(index)
    }

    private mutating func allAnswered(_ index: UInt32) {
        if exchanges[index].requestsLeft > 0 { return nextRequest(index) }
        exchanges[index].phase = .holding
        let hold = exchanges[index].hold
        if hold == 0 { leaveQuietly(index) } else { setStep(index, hold) }
    }

    private mutating func nextRequest(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        exchanges[index].phase = .thinking
        let pause = workloads[workload].nanoseconds(workloads[workload].flow.flow.think)
        setStep(index, pause)
    }

    /// The socket is closed; nobody is told.
    mutating func leaveQuietly(_ index: UInt32) {
        closeQuerySocket(index)
        complete(index)
    }

    /// An ICMP message says that a socket's datagrams go nowhere.
    mutating func datagramFailed(_ flight: Flight, _ socket: UInt32) {
        guard let index = exchange(flight.exchange), self.socket(of: index) == socket else {
            return
        }
        // Who does not wait for answers does not read the error either.
        guard exchanges[index].phase == .asking, exchanges[index].responseByteCount > 0 else {
            return
        }
        if exchanges[index].requestsLeft > 0 { return nextRequest(index) }
        closeQuerySocket(index)
        attemptFailed(index, .unreachable)
    }
}
