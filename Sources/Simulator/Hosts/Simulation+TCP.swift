import Conntrack
import Scenario
import Wire

// TCP endpoints as connection tracking sees them: what they send, in which order, with which
// numbers. RFC 9293 with Linux's timers: a SYN is repeated after 1, 3, 7, 15 … seconds
// (`tcp_syn_linear_timeouts` puts repeats a second apart before these), data after the round trip
// plus 200 ms, doubling. Every data segment is acknowledged at once.

/// Linux's numbers for TCP.
enum TCPNumbers {
    /// Payload bytes of a full segment: MTU 1500, timestamps.
    static let segmentIPv4: UInt32 = 1448
    static let segmentIPv6: UInt32 = 1428
    /// The window a SYN offers, and the scale of what follows.
    static let synWindow: UInt16 = 64240
    static let windowScale: UInt8 = 7
    static let window: UInt16 = 502
    static let receiveWindow: UInt32 = 64256
    static let firstTimeout: UInt64 = 1_000_000_000
    static let shortestTimeout: UInt64 = 200_000_000
    static let longestTimeout: UInt64 = 120_000_000_000
    /// Retries of a socket nobody owns any more.
    static let orphanRetries: UInt8 = 8
    /// `tcp_keepalive_probes`, `tcp_keepalive_intvl`.
    static let keepAliveProbes: UInt8 = 9
    static let keepAliveInterval: UInt64 = 75_000_000_000
}

extension Simulation {
    // MARK: Opening

    /// Opens a connection for an exchange and sends the SYN.
    ///
    /// Returns the socket, or `nil` where no port is free.
    mutating func connect(
        _ station: Int, from local: Address, to remote: Address, _ port: UInt16,
        _ family: Family, _ exchange: ExchangeReference, _ choice: Scenario.Flow.SourcePort
    ) -> UInt32? {
        sockets.expire(at: now)
        var key = SocketKey(
            station, IPProtocol.tcp, family, local: local, 0, remote: remote, port)
        let second: UInt64 = 1_000_000_000
        let reusingFrom = facts[station].reusesTimeWait && now > second ? now - second : nil
        guard
            let (free, lane) = sockets.takePort(
                for: key, facts[station].ports, choice, reusingFrom: reusingFrom, &dice)
        else { return nil }
        key.localPort = free
        var socket = Socket(
            key, .synSent, isServer: false, sequence: initialSequence(key),
            generation: sockets.nextGeneration(), exchange, at: now)
        socket.lane = lane
        socket.sendNext = socket.initialSequence &+ 1
        socket.sendHighest = socket.sendNext
        socket.deadline = handshakeDeadline(station, after: TCPNumbers.firstTimeout)
        let index = sockets.insert(socket)
        armTimer(index)
        sendSYN(index, isAnswer: false)
        return index
    }

    /// When a handshake that begins now, or is repeated now, is repeated next.
    func handshakeDeadline(_ station: Int, after timeout: UInt64) -> UInt64 {
        guard let wheel = facts[station].wheel else { return now + timeout }
        let delay = Interval(nanoseconds: Int64(clamping: timeout))
        return wheel.timerExpiry(after: delay, at: Instant(nanoseconds: now)).nanoseconds
    }

    /// Linux's first sequence number: a secret of addresses and ports, and a clock of 64 ns.
    private func initialSequence(_ key: SocketKey) -> UInt32 {
        UInt32(truncatingIfNeeded: (key.hash &* 0x9E37_79B9_7F4A_7C15) >> 32)
            &+ UInt32(truncatingIfNeeded: now >> 6)
    }

    mutating func sendSYN(_ index: UInt32, isAnswer: Bool) {
        let flags: TCPFlags = isAnswer ? [.syn, .ack] : .syn
        var segment = TCPSegment()
        segment.flags = flags
        segment.sequence = sockets[index].initialSequence
        segment.acknowledgment = isAnswer ? sockets[index].receiveNext : 0
        segment.window = TCPNumbers.synWindow
        segment.options = [.present, .windowScale, .sackPermitted]
        segment.windowScale = TCPNumbers.windowScale
        segment.headerByteCount = 40
        send(segment, payload: 0, from: index)
    }

    /// A SYN for a port somebody listens on.
    private mutating func accept(_ flight: Flight, _ listener: UInt32, _ station: Int) {
        let packet = flight.packet
        let place = Int(listener)
        guard hasRoom(listener) else { return overflow(flight, listener, station) }
        if listeners[place].halfOpenCount >= listeners[place].backlog {
            listeners[place].overflowCount &+= 1
            return answerWithCookie(flight, station)
        }
        let key = SocketKey(receiving: packet.tuple, at: station)
        var socket = Socket(
            key, .synReceived, isServer: true, sequence: initialSequence(key),
            generation: sockets.nextGeneration(), flight.exchange, at: now)
        socket.receiveNext = packet.tcp.sequence &+ 1
        socket.sendNext = socket.initialSequence &+ 1
        socket.sendHighest = socket.sendNext
        socket.peer = flight.sender
        socket.listener = listener
        socket.deadline = handshakeDeadline(station, after: TCPNumbers.firstTimeout)
        prepareServer(&socket, flight.exchange)
        listeners[place].halfOpenCount += 1
        let index = sockets.insert(socket)
        armTimer(index)
        sendSYN(index, isAnswer: true)
    }

    /// A full backlog answers with a number that proves the address, and keeps nothing.
    private mutating func answerWithCookie(_ flight: Flight, _ station: Int) {
        let key = SocketKey(receiving: flight.packet.tuple, at: station)
        var segment = TCPSegment()
        segment.flags = [.syn, .ack]
        segment.sequence = cookie(key)
        segment.acknowledgment = flight.packet.tcp.sequence &+ 1
        segment.window = TCPNumbers.synWindow
        segment.options = [.present]
        segment.headerByteCount = 24
        send(segment, payload: 0, key.tuple, from: station, to: flight.sender, flight.exchange)
    }

    private func cookie(_ key: SocketKey) -> UInt32 {
        UInt32(truncatingIfNeeded: (key.hash ^ 0x5bd1_e995) &* 0xff51_afd7_ed55_8ccd >> 32)
    }

    /// An ACK that answers a cookie makes the connection; false where it is none.
    private mutating func acceptCookie(
        _ flight: Flight, _ listener: UInt32, _ station: Int
    ) -> Bool {
        let key = SocketKey(receiving: flight.packet.tuple, at: station)
        let segment = flight.packet.tcp
        guard listeners[Int(listener)].overflowCount > 0,
            segment.acknowledgment == cookie(key) &+ 1
        else { return false }
        guard hasRoom(listener) else {
            overflow(flight, listener, station)
            return true
        }
        var socket = Socket(
            key, .synReceived, isServer: true, sequence: cookie(key),
            generation: sockets.nextGeneration(), flight.exchange, at: now)
        socket.receiveNext = segment.sequence
        socket.sendNext = socket.initialSequence &+ 1
        socket.sendHighest = socket.sendNext
        socket.peer = flight.sender
        socket.listener = listener
        prepareServer(&socket, flight.exchange)
        listeners[Int(listener)].halfOpenCount += 1
        let index = sockets.insert(socket)
        deliver(flight, to: index)
        return true
    }

    /// Whether a listener lets another connection in: as many may wait for a worker as its backlog
    /// is long.
    ///
    /// Inlined: a call that borrows the simulation copies all of it.
    @inline(__always)
    private func hasRoom(_ listener: UInt32) -> Bool {
        let place = Int(listener)
        return listeners[place].waiting.count - listeners[place].waitingHead
            < Int(listeners[place].backlog)
    }

    /// Nobody takes the connections that are there: no more are let in.
    private mutating func overflow(_ flight: Flight, _ listener: UInt32, _ station: Int) {
        listeners[Int(listener)].overflowCount &+= 1
        stats[station].backlogOverflows &+= 1
        drop(flight, PacketFate.backlog, at: station)
    }

    // MARK: Receiving

    /// A TCP segment has come to a host that has its destination address.
    mutating func receiveTCP(_ flight: Flight, at station: Int) {
        let key = SocketKey(receiving: flight.packet.tuple, at: station)
        switch sockets.find(key, hint: flight.receiver) {
        case .socket(let index): deliver(flight, to: index)
        case .timeWait(let index): deliver(flight, toTimeWait: index, station)
        case .nothing: deliver(flight, toListener: station)
        }
    }

    private mutating func deliver(_ flight: Flight, toListener station: Int) {
        let segment = flight.packet.tcp
        guard
            let listener = listener(station, IPProtocol.tcp, flight.packet.tuple.destinationPart)
        else {
            if facts[station].rejectsClosedPorts { refuse(flight, at: station) }
            return
        }
        if segment.flags.contains(.rst) { return }
        if segment.flags.contains(.ack) {
            if !segment.flags.contains(.syn), acceptCookie(flight, listener, station) { return }
            return refuse(flight, at: station)
        }
        if segment.flags.contains(.syn) { accept(flight, listener, station) }
    }

    /// Answers a segment nobody expects with a RST.
    mutating func refuse(_ flight: Flight, at station: Int) {
        let packet = flight.packet
        guard !packet.tcp.flags.contains(.rst), let tuple = packet.tuple.inverted else { return }
        var segment = TCPSegment()
        if packet.tcp.flags.contains(.ack) {
            segment.flags = .rst
            segment.sequence = packet.tcp.acknowledgment
        } else {
            segment.flags = [.rst, .ack]
            segment.acknowledgment = packet.tcp.sequence &+ Self.length(of: packet)
        }
        segment.window = 0
        send(segment, payload: 0, tuple, from: station, to: flight.sender, flight.exchange)
    }

    private mutating func deliver(
        _ flight: Flight, toTimeWait index: UInt32, _ station: Int
    ) {
        let wait = sockets.wait(index)
        let segment = flight.packet.tcp
        if wait.expiry <= now {
            sockets.removeWait(index)
            return deliver(flight, toListener: station)
        }
        if segment.flags.contains(.rst) {
            if segment.sequence == wait.receiveNext { sockets.removeWait(index) }
            return
        }
        if segment.flags.contains(.syn), !segment.flags.contains(.ack) {
            if wait.receiveNext.precedes(segment.sequence) {
                sockets.removeWait(index)
                return deliver(flight, toListener: station)
            }
        } else if !segment.flags.contains(.fin), Self.length(of: flight.packet) == 0 {
            return
        }
        if segment.flags.contains(.fin) { sockets.renew(index, at: now) }
        var answer = TCPSegment()
        answer.flags = .ack
        answer.sequence = wait.sendNext
        answer.acknowledgment = wait.receiveNext
        answer.window = TCPNumbers.window
        answer.options = .present
        answer.headerByteCount = 32
        send(
            answer, payload: 0, wait.key.tuple, from: station, to: flight.sender, flight.exchange)
    }

    /// Payload, SYN and FIN of a segment, in sequence numbers.
    @inline(__always)
    static func length(of packet: Packet) -> UInt32 {
        packet.transportByteCount &- UInt32(packet.tcp.headerByteCount)
            &+ (packet.tcp.flags.contains(.syn) ? 1 : 0)
            &+ (packet.tcp.flags.contains(.fin) ? 1 : 0)
    }

    /// A segment for a socket.
    private mutating func deliver(_ flight: Flight, to index: UInt32) {
        if flight.sender != .max { sockets[index].peer = flight.sender }
        sockets[index].heardAt = now
        switch sockets[index].state {
        case .abandoned, .datagram: return
        case .synSent: deliver(flight, toSynSent: index)
        case .synReceived: deliver(flight, toSynReceived: index)
        default: deliver(flight, toSynchronised: index)
        }
    }

    private mutating func deliver(_ flight: Flight, toSynSent index: UInt32) {
        let segment = flight.packet.tcp
        if segment.flags.contains(.ack),
            segment.acknowledgment != sockets[index].initialSequence &+ 1
        {
            return refuse(flight, at: Int(sockets[index].key.station))
        }
        if segment.flags.contains(.rst) {
            if segment.flags.contains(.ack) { fail(index, .refused) }
            return
        }
        guard segment.flags.contains(.syn), segment.flags.contains(.ack) else { return }
        sockets[index].receiveNext = segment.sequence &+ 1
        sockets[index].sendUnacked = segment.acknowledgment
        sockets[index].state = .established
        sockets[index].peerWindow = UInt32(segment.window)
        sockets[index].deadline = .max
        if sockets[index].retransmits == 0 { measureRoundTrip(index) }
        sockets[index].retransmits = 0
        sendAck(index)
        clientConnected(index)
    }

    private mutating func deliver(_ flight: Flight, toSynReceived index: UInt32) {
        let segment = flight.packet.tcp
        if segment.flags.contains(.rst) {
            if segment.sequence == sockets[index].receiveNext { close(index) }
            return
        }
        if segment.flags.contains(.syn) {
            guard segment.sequence &+ 1 == sockets[index].receiveNext else {
                return sendAck(index)
            }
            return sendSYN(index, isAnswer: true)
        }
        guard segment.flags.contains(.ack) else { return }
        guard segment.acknowledgment == sockets[index].initialSequence &+ 1 else {
            return refuse(flight, at: Int(sockets[index].key.station))
        }
        leaveBacklog(index)
        sockets[index].state = .established
        sockets[index].sendUnacked = segment.acknowledgment
        sockets[index].peerWindow = UInt32(segment.window) << UInt32(TCPNumbers.windowScale)
        sockets[index].deadline = .max
        if sockets[index].retransmits == 0 { measureRoundTrip(index) }
        sockets[index].retransmits = 0
        serverAccepted(index)
        if Self.length(of: flight.packet) > 0 { deliver(flight, toSynchronised: index) }
    }

    private mutating func leaveBacklog(_ index: UInt32) {
        let listener = sockets[index].listener
        guard listener != .max, sockets[index].state == .synReceived else { return }
        listeners[Int(listener)].halfOpenCount -= 1
    }

    private mutating func measureRoundTrip(_ index: UInt32) {
        let sample = UInt32(clamping: (now - sockets[index].sentAt) / 1000)
        let old = sockets[index].roundTrip
        sockets[index].roundTrip = old == 0 ? max(1, sample) : (old &* 7 &+ sample) / 8
    }

    // MARK: Closing

    /// Takes a socket away, silently.
    mutating func close(_ index: UInt32) {
        leaveBacklog(index)
        releaseWorker(index)
        leavePool(index)
        sockets.remove(index)
    }

    /// The connection has failed: the socket goes, and its application hears why.
    mutating func fail(_ index: UInt32, _ reason: FailureReason) {
        let exchange = sockets[index].exchange
        let isClient = !sockets[index].isServer && !sockets[index].isOrphan
        close(index)
        if isClient { connectionFailed(index, exchange, reason) }
    }

    /// The application closes: a FIN follows what is queued, or a RST where `isAbrupt`.
    mutating func shutDown(_ index: UInt32, isAbrupt: Bool = false) {
        switch sockets[index].state {
        case .synSent, .synReceived: close(index)
        case .datagram: closeDatagram(index)
        case .abandoned: break
        case .established, .closeWait:
            sockets[index].isOrphan = true
            sockets[index].applicationDeadline = .max
            leavePool(index)
            if isAbrupt {
                sendReset(index)
                close(index)
            } else if !sockets[index].isFinQueued {
                sockets[index].isFinQueued = true
                sendQueued(index)
            }
        default:
            sockets[index].isOrphan = true
            guard sockets[index].state == .finWait2 else { return }
            sockets[index].deadline = now + facts[Int(sockets[index].key.station)].finTimeout
            armTimer(index)
        }
    }

    private mutating func sendReset(_ index: UInt32) {
        var segment = TCPSegment()
        segment.flags = [.rst, .ack]
        segment.sequence = sockets[index].sendNext
        segment.acknowledgment = sockets[index].receiveNext
        segment.window = 0
        send(segment, payload: 0, from: index)
    }
}
