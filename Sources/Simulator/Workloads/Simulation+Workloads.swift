import Conntrack
import Scenario
import Wire

// When exchanges begin: open workloads by their arrivals, whatever happens; closed ones keep as
// many going as their stage says.

extension Simulation {
    /// How long a closed workload waits before it replaces an exchange that failed at once.
    private static let shortestPause: UInt64 = 1_000_000
    /// How often a closed workload looks whether its stage wants more.
    private static let closedStep: UInt64 = 10_000_000

    /// A workload's beginning: by itself, or by the timeline.
    mutating func workloadBegins(_ event: Event) {
        let index = Int(event.index)
        guard workloads[index].generation == event.extra else { return }
        startWorkload(index)
    }

    mutating func startWorkload(_ index: Int) {
        workloads[index].isRunning = true
        workloads[index].began = now
        workloads[index].generation &+= 1
        if let member = workloads[index].shareOf, facts[member].tracker >= 0 {
            let tracker = trackers[Int(facts[member].tracker)]
            workloads[index].unit = Double(tracker.node.configuration.sysctl.max)
        }
        scheduleArrival(index, after: now)
    }

    /// No more exchanges begin; those that go on come to their end.
    mutating func stopWorkload(_ index: Int) {
        workloads[index].isRunning = false
        workloads[index].generation &+= 1
    }

    /// Replaces the stages' rate from now on.
    mutating func setRate(_ index: Int, _ rate: Double) {
        workloads[index].fixedRate = rate
        workloads[index].generation &+= 1
        if workloads[index].isRunning { scheduleArrival(index, after: now) }
    }

    private mutating func scheduleArrival(_ index: Int, after moment: UInt64) {
        let generation = workloads[index].generation
        guard workloads[index].isOpen || workloads[index].isRaw else {
            return queue.push(
                Event(.workloadArrival, at: moment, UInt32(index), extra: generation))
        }
        let kind: EventKind = workloads[index].isRaw ? .rawPacket : .workloadArrival
        if workloads[index].isRaw, case .replay = workloads[index].raw?.kind {
            return scheduleReplay(index, generation)
        }
        guard let next = workloads[index].nextArrival(after: moment) else {
            workloads[index].isRunning = false
            return
        }
        queue.push(Event(kind, at: next, UInt32(index), extra: generation))
    }

    mutating func workloadArrival(_ event: Event) {
        let index = Int(event.index)
        guard workloads[index].generation == event.extra, workloads[index].isRunning else {
            return
        }
        guard workloads[index].isOpen else { return fillClosed(index) }
        var count: UInt32 = 1
        if case .bursts(let size, _) = workloads[index].arrivals { count = size }
        for _ in 0..<count { begin(index) }
        scheduleArrival(index, after: now)
    }

    /// Begins what a closed workload lacks, and looks again a little later.
    private mutating func fillClosed(_ index: Int) {
        guard now < workloads[index].end else {
            workloads[index].isRunning = false
            return
        }
        let wanted = Int(workloads[index].rate(at: now).rounded())
        let missing = wanted - workloads[index].active - workloads[index].pendingStarts
        for _ in 0..<max(0, missing) { begin(index) }
        queue.push(
            Event(
                .workloadArrival, at: now + Self.closedStep, UInt32(index),
                extra: workloads[index].generation))
    }

    /// An exchange of a workload has ended: a closed one puts another in its place.
    mutating func exchangeEnded(_ index: Int) {
        guard !workloads[index].isOpen, workloads[index].isRunning else { return }
        let wanted = Int(workloads[index].rate(at: now).rounded())
        guard workloads[index].active + workloads[index].pendingStarts < wanted else { return }
        workloads[index].pendingStarts += 1
        queue.push(
            Event(
                .replacement, at: now + Self.shortestPause, UInt32(index)))
    }

    mutating func replacement(_ event: Event) {
        let index = Int(event.index)
        workloads[index].pendingStarts -= 1
        guard workloads[index].isRunning, now < workloads[index].end else { return }
        begin(index)
    }

    // MARK: Counting

    @inline(__always)
    mutating func countRetransmittedSYN(_ workload: UInt32) {
        guard workload != .max else { return }
        workloads[Int(workload)].stats.retransmittedSYNs &+= 1
    }

    func synRetries(_ workload: UInt32, _ station: Int) -> UInt8 {
        if workload != .max, workloads[Int(workload)].flow.flow.retry.syn == .none { return 0 }
        return facts[station].synRetries
    }

    // MARK: Packets without an application

    mutating func rawPacket(_ event: Event) {
        let index = Int(event.index)
        guard workloads[index].generation == event.extra, workloads[index].isRunning,
            let raw = workloads[index].raw
        else { return }
        switch raw.kind {
        case .replay: return replayPacket(index)
        case .flood, .scan:
            var count: UInt32 = 1
            if case .bursts(let size, _) = workloads[index].arrivals { count = size }
            for _ in 0..<count where workloads[index].left > 0 { sendRaw(index, raw) }
        }
        guard workloads[index].left > 0 else {
            workloads[index].isRunning = false
            return
        }
        scheduleArrival(index, after: now)
    }

    /// A source for a raw packet: of the spoofed ranges by chance, or one of the workload's own.
    private mutating func rawSource(_ index: Int) -> (family: Family, address: Address) {
        guard let raw = workloads[index].raw, !raw.sources.isEmpty else {
            return workloads[index].nextSource().address
        }
        let total = raw.sources.reduce(UInt64(0)) { $0.addingOrMax($1.count) }
        var place = workloads[index].sampler.next() % max(1, total)
        for range in raw.sources {
            if place < range.count {
                return (
                    range.family,
                    Address(high: range.first.high, low: range.first.low &+ place)
                )
            }
            place -= range.count
        }
        return workloads[index].nextSource().address
    }

    /// Sends one packet of a flood or a scan.
    private mutating func sendRaw(_ index: Int, _ raw: RawPlan) {
        let source = rawSource(index)
        guard let target = workloads[index].nextTarget(source.family) else { return }
        workloads[index].left -= 1
        let draw = workloads[index].sampler.next()
        let ports = UInt64(raw.sourcePorts.upperBound - raw.sourcePorts.lowerBound) + 1
        let tuple = Tuple(
            source.family, raw.isDatagram ? IPProtocol.udp : IPProtocol.tcp,
            source: source.address,
            raw.sourcePorts.lowerBound + UInt16(truncatingIfNeeded: (draw & 0xffff_ffff) % ports),
            destination: target.address, target.port)
        let reference = ExchangeReference(
            index: .max, generation: 0, workload: UInt32(index))
        if raw.isDatagram {
            let byteCount = workloads[index].byteCount(raw.size)
            sendDatagram(
                byteCount, question: 0, tuple, from: raw.station, to: .max, reference)
            return
        }
        var segment = TCPSegment()
        segment.flags = .syn
        segment.sequence = UInt32(truncatingIfNeeded: draw >> 32)
        segment.window = TCPNumbers.synWindow
        segment.options = [.present, .windowScale, .sackPermitted]
        segment.windowScale = TCPNumbers.windowScale
        segment.headerByteCount = 40
        send(segment, payload: 0, tuple, from: raw.station, to: .max, reference)
    }

    // MARK: A replayed capture

    private mutating func scheduleReplay(_ index: Int, _ generation: UInt32) {
        guard let raw = workloads[index].raw,
            case .replay(let packets, let factor, let loops) =
                raw.kind, !packets.isEmpty
        else { return }
        if raw.cursor == 0 { workloads[index].raw?.loopBegan = now }
        if raw.cursor == packets.count {
            workloads[index].raw?.loopsDone += 1
            guard loops == 0 || raw.loopsDone + 1 < loops else {
                workloads[index].isRunning = false
                return
            }
            workloads[index].raw?.cursor = 0
            workloads[index].raw?.loopBegan = now
        }
        let cursor = workloads[index].raw?.cursor ?? 0
        let began = workloads[index].raw?.loopBegan ?? now
        let time = began.addingOrMax(UInt64(Double(packets[cursor].time) * factor))
        queue.push(Event(.rawPacket, at: max(now, time), UInt32(index), extra: generation))
    }

    private mutating func replayPacket(_ index: Int) {
        guard let raw = workloads[index].raw, case .replay(let packets, _, _) = raw.kind else {
            return
        }
        workloads[index].raw?.cursor += 1
        let reference = ExchangeReference(
            index: .max, generation: 0, workload: UInt32(index))
        transmit(Flight(packets[raw.cursor].packet, reference), from: raw.station)
        scheduleReplay(index, workloads[index].generation)
    }
}
