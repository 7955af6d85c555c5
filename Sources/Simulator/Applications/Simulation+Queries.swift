import Conntrack
import Wire

// Applications that ask with datagrams: one question or two from one socket (A and AAAA), repeated
// after the resolver's timeout, again and again where the exchange has more than one request.

extension Simulation {
    /// Sends the questions of an attempt from a socket of its own.
    mutating func ask(_ index: UInt32, _ reference: ExchangeReference) {
        let exchange = exchanges[index]
        let plan = workloads[Int(exchange.workload)].flow
        let socket = openDatagram(
            Int(exchange.station), from: exchange.source, port: plan.sourcePort,
            to: exchange.destination, exchange.port, exchange.family, reference)
        guard let socket else { return attemptFailed(index, .noPort) }
        exchanges[index].socket = socket
        askAgain(index)
    }

    /// Sends the next request over the exchange's socket.
    mutating func askAgain(_ index: UInt32) {
        let questions = workloads[Int(exchanges[index].workload)].flow.questions
        exchanges[index].requestsLeft -= 1
        exchanges[index].sends = 0
        exchanges[index].openQuestions = questions >= 8 ? 0xff : (1 << questions) - 1
        exchanges[index].phase = .asking
        sendQuestions(index)
    }

    private mutating func sendQuestions(_ index: UInt32) {
        let generation = exchanges[index].generation
        let socket = exchanges[index].socket
        let workload = Int(exchanges[index].workload)
        let plan = workloads[workload].flow
        exchanges[index].sends += 1
        var isRefused = false
        for question in UInt8(0)..<8 where exchanges[index].openQuestions & 1 << question != 0 {
            workloads[workload].stats.sent &+= 1
            let hasLeft = sendDatagram(
                exchanges[index].requestByteCount, question: question, from: socket)
            guard exchanges[index].generation == generation,
                exchanges[index].phase == .asking
            else { return }
            if !hasLeft { isRefused = true }
        }
        if isRefused {
            workloads[workload].stats.refusedSends &+= 1
        }
        if exchanges[index].responseByteCount == 0 { return allAnswered(index) }
        setStep(index, plan.questionTimeout)
    }

    /// Nobody has answered in time: the open questions are asked again from the same socket.
    mutating func repeatQuestion(_ index: UInt32) {
        let plan = workloads[Int(exchanges[index].workload)].flow
        if exchanges[index].sends < plan.questionSends { return sendQuestions(index) }
        if exchanges[index].requestsLeft > 0, plan.goesOnWithoutAnswer {
            workloads[Int(exchanges[index].workload)].stats.unanswered &+= 1
            return nextRequest(index)
        }
        datagramFailed(exchanges[index].socket, .timeout)
    }

    /// A datagram has come for a socket.
    mutating func answered(_ socket: UInt32, question: UInt8) {
        guard let index = exchange(sockets[socket].exchange),
            exchanges[index].phase == .asking,
            exchanges[index].openQuestions & 1 << question != 0
        else { return }
        exchanges[index].openQuestions &= ~(1 << question)
        workloads[Int(exchanges[index].workload)].stats.answers &+= 1
        if exchanges[index].openQuestions == 0 { allAnswered(index) }
    }

    private mutating func allAnswered(_ index: UInt32) {
        if exchanges[index].requestsLeft > 0 { return nextRequest(index) }
        let workload = Int(exchanges[index].workload)
        workloads[workload].stats.answered(now - exchanges[index].began)
        exchanges[index].phase = .holding
        exchanges[index].attempt |= 0x80
        let hold = exchanges[index].hold
        if hold == 0 { leaveQuietly(index) } else { setStep(index, hold) }
    }

    private mutating func nextRequest(_ index: UInt32) {
        let workload = Int(exchanges[index].workload)
        exchanges[index].phase = .thinking
        let pause = workloads[workload].nanoseconds(workloads[workload].flow.think)
        setStep(index, max(pause, 1))
    }

    /// The socket is closed; nobody is told.
    mutating func leaveQuietly(_ index: UInt32) {
        let socket = exchanges[index].socket
        if socket != .max { sockets.remove(socket) }
        workloads[Int(exchanges[index].workload)].stats.completed &+= 1
        end(index)
    }

    /// A datagram socket's question has failed.
    mutating func datagramFailed(_ socket: UInt32, _ reason: FailureReason) {
        let reference = sockets[socket].exchange
        guard let index = exchange(reference) else { return }
        // An application that asks without end takes an error for one question's.
        if reason == .unreachable, workloads[Int(reference.workload)].flow.goesOnWithoutAnswer {
            workloads[Int(reference.workload)].stats.unreachable &+= 1
            return
        }
        sockets.remove(socket)
        attemptFailed(index, reason)
    }
}
