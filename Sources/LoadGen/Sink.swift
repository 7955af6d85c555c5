public import LinuxCalls
internal import Wire

// The far end. It knows of a connection what the client says in its first 16 bytes, and of a
// datagram what its first four say; a client that says nothing is waited for until it goes.

/// What the sink has seen.
public struct SinkCounts: Sendable, Hashable {
    public var accepted = 0
    public var open = 0
    public var answered = 0
    /// Connections this end closed first, as told.
    public var closed = 0
    /// Connections this end forgot, as told.
    public var abandoned = 0
    /// Connections that broke off, or spoke another language.
    public var broken = 0
    /// Connections that could not be accepted: no descriptor was left.
    public var refused = 0
    public var datagrams = 0
    public var datagramAnswers = 0

    public init() {}
}

/// Accepts, answers as told by the client, counts.
public struct Sink: ~Copyable {
    private enum Phase: UInt8 {
        case free, listening, instruction, request, answer, idle, leaving
    }

    private static let controlNumber = 1 << 40
    private static let datagramNumber = 1 << 41
    /// Nanoseconds between looks at connections that wait to be forgotten.
    private static let leavingEvery: UInt64 = 20_000_000
    /// An answer's bytes, which say nothing.
    private static let filling = [UInt8](repeating: 0x2E, count: 16 << 10)

    public private(set) var counts = SinkCounts()
    private var sockets: SocketTable
    private var datagrams = DatagramTable()
    private var free: [Int32]
    private var phases: [Phase]
    private var heads: [[UInt8]]
    private var toRead: [UInt32]
    private var toSend: [UInt32]
    private var endings: [Instruction?]
    /// Connections to be forgotten once nothing of theirs is under way.
    private var leaving: [Int32] = []

    /// - Parameters:
    ///   - stream: Where to listen for connections.
    ///   - datagram: Where to wait for datagrams.
    ///   - shared: Whether other sinks may have the same addresses.
    public init(
        stream: [SocketAddress], datagram: [SocketAddress], slotCount: Int, shared: Bool = false
    ) throws(SystemCallError) {
        let count = slotCount + stream.count
        var sockets = try SocketTable(slotCount: count)
        var datagrams = DatagramTable()
        var phases = Array(repeating: Phase.free, count: count)
        for (slot, address) in stream.enumerated() {
            do throws(SocketFailure) {
                try sockets.listen(slot, on: address, backlog: 65_535, shared: shared)
            } catch {
                throw error.error(with: address)
            }
            phases[slot] = .listening
        }
        for (index, address) in datagram.enumerated() {
            do throws(SocketFailure) {
                try datagrams.bind(address, shared: shared)
                try sockets.watch(datagrams, index, as: Self.datagramNumber + index)
            } catch {
                throw error.error(with: address)
            }
        }
        self.sockets = sockets
        self.datagrams = datagrams
        self.phases = phases
        free = (stream.count..<count).reversed().map { Int32($0) }
        heads = Array(repeating: [], count: count)
        toRead = Array(repeating: 0, count: count)
        toSend = Array(repeating: 0, count: count)
        endings = Array(repeating: nil, count: count)
    }

    /// Where connection listener `index` really listens.
    public func streamAddress(_ index: Int) -> SocketAddress? { sockets.localAddress(index) }

    /// Serves until `control` ends or says `stop`; `tick` is told the counts once a second.
    public mutating func run(
        control: inout StandardInput, tick: (SinkCounts) -> Bool
    ) throws(SystemCallError) {
        do throws(SocketFailure) {
            try sockets.watch(control.descriptor, as: Self.controlNumber)
        } catch {
            throw SystemCallError(call: error.call.name, code: error.code)
        }
        try run(tick: tick) { () throws(SystemCallError) in
            let (lines, hasMore) = try control.lines()
            return hasMore && !lines.contains("stop")
        }
    }

    /// Serves until `tick`, told the counts once a second, says no.
    public mutating func run(tick: (SinkCounts) -> Bool) throws(SystemCallError) {
        try run(tick: tick) { () throws(SystemCallError) in true }
    }

    private mutating func run(
        tick: (SinkCounts) -> Bool, obey: () throws(SystemCallError) -> Bool
    ) throws(SystemCallError) {
        var nextTick = MonotonicClock.now() + 1_000_000_000
        while true {
            let now = MonotonicClock.now()
            if now >= nextTick {
                nextTick = now + 1_000_000_000
                guard tick(counts) else { return }
            }
            forgetLeaving()
            let pause = leaving.isEmpty ? nextTick - now : Self.leavingEvery
            for index in 0..<sockets.wait(nanoseconds: Int64(pause)) {
                let event = sockets.readiness(at: index)
                if event.slot < phases.count {
                    handle(event)
                } else if event.slot == Self.controlNumber {
                    guard try obey() else { return }
                } else {
                    answerDatagrams(event.slot - Self.datagramNumber)
                }
            }
        }
    }

    // MARK: Connections

    private mutating func handle(_ event: Readiness) {
        let slot = event.slot
        switch phases[slot] {
        case .free: break
        case .listening: accept(slot)
        case .leaving:
            if event.hasFailed { drop(slot) }
        case .answer, .instruction, .request, .idle:
            if phases[slot] == .answer, event.isWritable { answer(slot) }
            if event.isReadable || event.hasEnded || event.hasFailed { read(slot) }
        }
    }

    private mutating func accept(_ listener: Int) {
        // Some at a time: those that stand have their turn in between.
        for _ in 0..<64 {
            guard let slot = free.last.map(Int.init) else {
                // They wait in the backlog; looking again at once would change nothing.
                counts.refused += 1
                MonotonicClock.sleep(until: MonotonicClock.now() + 1_000_000)
                return
            }
            do throws(SocketFailure) {
                guard try sockets.accept(listener, into: slot) else { return }
            } catch {
                counts.refused += 1
                return
            }
            free.removeLast()
            counts.accepted += 1
            counts.open += 1
            phases[slot] = .instruction
            heads[slot].removeAll(keepingCapacity: true)
        }
    }

    private mutating func read(_ slot: Int) {
        do throws(SocketFailure) {
            while phases[slot] != .free, let count = try sockets.receive(slot) {
                guard count > 0 else {
                    release(slot)
                    return
                }
                take(slot, count)
            }
        } catch {
            drop(slot)
        }
    }

    /// Works through `count` bytes that came.
    private mutating func take(_ slot: Int, _ count: Int) {
        var position = 0
        while position < count, phases[slot] != .free {
            switch phases[slot] {
            case .instruction:
                let missing = Instruction.byteCount - heads[slot].count
                let end = min(count, position + missing)
                while position < end {
                    heads[slot].append(sockets.received(position))
                    position += 1
                }
                if heads[slot].count == Instruction.byteCount { begin(slot) }
            case .request:
                let part = min(UInt32(count - position), toRead[slot])
                toRead[slot] -= part
                position += Int(part)
                if toRead[slot] == 0 { answer(slot) }
            case .idle, .answer:
                // The only thing left to be said is who closes.
                let byte = sockets.received(position)
                position += 1
                if byte == Instruction.closeByte, endings[slot]?.ending == .serverFIN {
                    closeFirst(slot)
                }
            case .free, .listening, .leaving: return
            }
        }
    }

    private mutating func begin(_ slot: Int) {
        guard let instruction = Instruction(heads[slot]) else {
            drop(slot)
            return
        }
        endings[slot] = instruction
        toRead[slot] = instruction.requestByteCount
        toSend[slot] = instruction.responseByteCount
        phases[slot] = .request
        if toRead[slot] == 0 { answer(slot) }
    }

    private mutating func answer(_ slot: Int) {
        phases[slot] = .answer
        do throws(SocketFailure) {
            while toSend[slot] > 0 {
                let part = min(Int(toSend[slot]), Self.filling.count)
                let sent = try sockets.send(slot, Self.filling.span.extracting(0..<part))
                if sent == 0 {
                    // Edge-triggered, and asked for reading alone: look again with the next turn.
                    if !leaving.contains(Int32(slot)) { leaving.append(Int32(slot)) }
                    return
                }
                toSend[slot] -= UInt32(sent)
            }
        } catch {
            drop(slot)
            return
        }
        counts.answered += 1
        phases[slot] = .idle
        guard let instruction = endings[slot] else { return }
        if instruction.ending == .serverFIN, instruction.endsAtOnce { closeFirst(slot) }
        if instruction.ending == .abandon {
            phases[slot] = .leaving
            leaving.append(Int32(slot))
        }
    }

    private mutating func closeFirst(_ slot: Int) {
        counts.closed += 1
        release(slot)
    }

    /// Forgets connections of which nothing is under way any more, and goes on with answers that
    /// did not fit.
    private mutating func forgetLeaving() {
        guard !leaving.isEmpty else { return }
        let waiting = leaving
        leaving.removeAll(keepingCapacity: true)
        for number in waiting {
            let slot = Int(number)
            if phases[slot] == .answer {
                answer(slot)
                continue
            }
            guard phases[slot] == .leaving else { continue }
            guard sockets.unacknowledgedByteCount(slot) == 0 else {
                leaving.append(number)
                continue
            }
            do throws(SocketFailure) {
                try sockets.abandon(slot)
                counts.abandoned += 1
                forget(slot)
            } catch {
                // Without the right to, it is kept instead: the tracker sees the same.
                phases[slot] = .idle
            }
        }
    }

    private mutating func drop(_ slot: Int) {
        // A client that said it would reset has done so.
        if endings[slot]?.ending != .reset { counts.broken += 1 }
        sockets.reset(slot)
        forget(slot)
    }

    private mutating func release(_ slot: Int) {
        sockets.close(slot)
        forget(slot)
    }

    private mutating func forget(_ slot: Int) {
        phases[slot] = .free
        endings[slot] = nil
        counts.open -= 1
        free.append(Int32(slot))
    }

    // MARK: Datagrams

    private mutating func answerDatagrams(_ socket: Int) {
        while true {
            let count = datagrams.receive(by: socket)
            counts.datagrams += count
            counts.datagramAnswers += datagrams.answer(
                by: socket, beginningWith: Instruction.mark)
            if count < DatagramTable.batchCount { return }
        }
    }
}
