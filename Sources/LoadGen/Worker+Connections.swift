internal import Histogram
internal import LinuxCalls

// A connection's life, event by event.
extension Worker {
    mutating func handle(_ event: Readiness) {
        let slot = event.slot
        switch phases[slot] {
        case .free: break
        case .asking: receiveAnswers(slot, event)
        case .connecting:
            if event.hasFailed {
                fail(slot, sockets.failure(of: slot) ?? .hungUp)
            } else if event.isWritable {
                connected(slot, event)
            }
        case .exchanging:
            if event.hasFailed, let failure = sockets.failure(of: slot) {
                fail(slot, failure)
                return
            }
            if unsent[slot] > 0, event.isWritable { guard send(slot) else { return } }
            if event.isReadable || event.hasEnded { receive(slot) }
        case .holding:
            if event.hasEnded || event.hasFailed { lose(slot) }
        case .closing:
            if event.isReadable || event.hasEnded || event.hasFailed { awaitEnd(slot) }
        }
    }

    mutating func timerFired(_ slot: Int, at now: UInt64) {
        switch phases[slot] {
        case .holding: finish(slot)
        case .free: break
        case .asking: repeatQueries(slot)
        case .connecting: fail(slot, .timedOut)
        case .exchanging, .closing: fail(slot, .unanswered)
        }
    }

    private mutating func connected(_ slot: Int, _ event: Readiness) {
        let lane = Int(owners[slot])
        let now = MonotonicClock.now()
        lanes[lane].flows.connected += 1
        lanes[lane].flows.standing += 1
        noteHandshake(slot, at: now)
        _ = lanes[lane].latencies.connect.record(
            Latencies.microseconds(from: scheduled[slot], to: now))
        guard !lanes[lane].outgoing.isEmpty else {
            answered(slot, at: now)
            return
        }
        phases[slot] = .exchanging
        unsent[slot] = Int32(truncatingIfNeeded: lanes[lane].outgoing.count)
        remaining[slot] = Int32(truncatingIfNeeded: lanes[lane].responseByteCount)
        guard send(slot) else { return }
        if event.isReadable { receive(slot) }
    }

    /// Sends what is left to be sent.
    ///
    /// - Returns: Whether the connection is still being exchanged over.
    private mutating func send(_ slot: Int) -> Bool {
        let lane = Int(owners[slot])
        let outgoing = lanes[lane].outgoing
        let end = outgoing.count
        do throws(SocketFailure) {
            while unsent[slot] > 0 {
                let rest = outgoing.span.extracting((end - Int(unsent[slot]))..<end)
                let count = try sockets.send(slot, rest)
                if count == 0 { return true }
                unsent[slot] -= Int32(truncatingIfNeeded: count)
            }
        } catch {
            fail(slot, error)
            return false
        }
        guard remaining[slot] == 0 else { return true }
        answered(slot, at: MonotonicClock.now())
        return false
    }

    private mutating func receive(_ slot: Int) {
        do throws(SocketFailure) {
            while remaining[slot] > 0 {
                guard let count = try sockets.receive(slot) else { return }
                guard count > 0 else {
                    fail(slot, .hungUp)
                    return
                }
                remaining[slot] -= Int32(truncatingIfNeeded: min(count, Int(remaining[slot])))
            }
        } catch {
            fail(slot, error)
            return
        }
        guard unsent[slot] == 0 else { return }
        answered(slot, at: MonotonicClock.now())
    }

    /// The exchange is over: the connection is held as long as it should be.
    private mutating func answered(_ slot: Int, at now: UInt64) {
        let lane = Int(owners[slot])
        _ = lanes[lane].latencies.complete.record(
            Latencies.microseconds(from: scheduled[slot], to: now))
        wheel.clear(slot)
        phases[slot] = .holding
        let isSurplus = !lanes[lane].isOpen && lanes[lane].flows.active > lanes[lane].wanted
        let hold = isSurplus || isEnding ? 0 : lanes[lane].drawHold()
        if hold == 0 {
            finish(slot)
        } else if let hold {
            wheel.set(slot, for: now + hold)
        }
    }

    // MARK: Ending

    /// Ends a connection that is held, in its workload's way.
    mutating func finish(_ slot: Int) {
        let lane = Int(owners[slot])
        let workload = lanes[lane].workload
        switch workload.ending {
        case .clientFIN: sockets.close(slot)
        case .reset: sockets.reset(slot)
        case .abandon:
            // Our last acknowledgement has to be out: nothing may be left that is sent again.
            sockets.acknowledgeNow(slot)
            do throws(SocketFailure) {
                try sockets.abandon(slot)
            } catch {
                fail(slot, error)
                return
            }
        case .serverFIN:
            phases[slot] = .closing
            wheel.set(slot, for: MonotonicClock.now() + workload.patience)
            if workload.hold != .none {
                do throws(SocketFailure) {
                    _ = try sockets.send(slot, [Instruction.closeByte].span)
                } catch {
                    fail(slot, error)
                }
                return
            }
            awaitEnd(slot)
            return
        }
        complete(slot)
    }

    /// The server was told to close; its FIN is what is waited for.
    private mutating func awaitEnd(_ slot: Int) {
        do throws(SocketFailure) {
            while let count = try sockets.receive(slot) {
                guard count == 0 else { continue }
                sockets.close(slot)
                complete(slot)
                return
            }
        } catch {
            fail(slot, error)
        }
    }

    private mutating func complete(_ slot: Int) {
        let lane = Int(owners[slot])
        lanes[lane].flows.completed += 1
        lanes[lane].flows.standing -= 1
        release(slot)
    }

    mutating func fail(_ slot: Int, _ failure: SocketFailure) {
        let lane = Int(owners[slot])
        lanes[lane].flows.failed += 1
        let isAsking = phases[slot] == .asking
        lanes[lane].flows.add(
            failure, isAsking ? server(of: slot) : lanes[lane].destination(Int(peers[slot])))
        noteGivenUp(slot, at: MonotonicClock.now())
        if !isAsking, phases[slot] != .connecting { lanes[lane].flows.standing -= 1 }
        sockets.reset(slot)
        release(slot)
    }

    /// Notes how long a flow has waited that is given up before its answer came.
    mutating func noteGivenUp(_ slot: Int, at now: UInt64) {
        guard [.asking, .connecting, .exchanging].contains(phases[slot]) else { return }
        let lane = Int(owners[slot])
        _ = lanes[lane].latencies.gaveUp.record(
            Latencies.microseconds(from: scheduled[slot], to: now))
        guard phases[slot] == .connecting else { return }
        noteHandshake(slot, at: now)
    }

    /// Notes how often the SYN of `slot` was sent again, if there was time for it: how long it took
    /// does not tell, as this process may have slept meanwhile.
    private mutating func noteHandshake(_ slot: Int, at now: UInt64) {
        guard now - min(now, begun[slot]) >= Self.shortestRetransmission else { return }
        lanes[Int(owners[slot])].flows.noteHandshake(
            retransmissions: sockets.retransmissionCount(slot))
    }

    /// The peer broke off what was held.
    private mutating func lose(_ slot: Int) {
        let lane = Int(owners[slot])
        lanes[lane].flows.lost += 1
        lanes[lane].flows.standing -= 1
        sockets.close(slot)
        release(slot)
    }

    mutating func release(_ slot: Int) {
        wheel.clear(slot)
        phases[slot] = .free
        lanes[Int(owners[slot])].flows.active -= 1
        free.append(Int32(truncatingIfNeeded: slot))
    }

    /// Breaks off whatever is still under way.
    mutating func cutOff() {
        let now = MonotonicClock.now()
        for slot in phases.indices where phases[slot] != .free { cutOff(slot, at: now) }
    }

    /// Breaks off what is under way in `slot`.
    mutating func cutOff(_ slot: Int, at now: UInt64) {
        let lane = Int(owners[slot])
        lanes[lane].flows.unfinished += 1
        if phases[slot] == .asking { lanes[lane].flows.lookups.unfinished += 1 }
        noteGivenUp(slot, at: now)
        if phases[slot] != .asking, phases[slot] != .connecting {
            lanes[lane].flows.standing -= 1
        }
        sockets.reset(slot)
        release(slot)
    }
}
