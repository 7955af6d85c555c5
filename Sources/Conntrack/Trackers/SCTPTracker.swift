internal import Wire

// Follows an SCTP association chunk by chunk: spec protocols.md §7. The transition table is in
// SCTPTransitions.swift; what the packet carries was summed up when it was read (SCTPContent).

enum SCTPTracker {
    /// Follows one packet of an association.
    ///
    /// `isNew`: the connection was made for this packet and has no history.
    ///
    /// Kernel: `nf_conntrack_sctp_packet()`.
    static func update(
        _ record: inout SCTPRecord, _ packet: Packet, _ direction: Direction, isNew: Bool,
        status: Status, settings: borrowing TrackerSettings
    ) -> TrackerResult {
        if packet.transportByteCount < UInt32(SCTPHeader.byteCount) {
            return .invalid(.sctpShortPacket)
        }
        if settings.verifiesChecksums, packet.health.contains(.badChecksum) {
            return .invalid(.sctpBadCRC)
        }
        let content = packet.sctp
        if let defect = content.defect { return .invalid(.sctpChunks(defect)) }
        guard !content.present.isEmpty else { return .invalid(nil) }
        if isNew, !open(&record, content) { return .invalid(nil) }
        if content.present.isDisjoint(with: tagCheckers),
            content.verificationTag != record[direction]
        {
            return .invalid(
                .sctpVerificationTag(
                    found: content.verificationTag, expected: record[direction], direction))
        }
        return follow(&record, content, direction, isNew: isNew, status, settings)
    }

    // MARK: Creation (step 3)

    /// Kinds no association begins with.
    private static let neverFirst: SCTPChunkSet = [
        SCTPChunkSet(.abort), SCTPChunkSet(.shutdownComplete), SCTPChunkSet(.cookieAck),
    ]

    /// Takes what a first packet tells. Returns whether the connection may begin.
    private static func open(_ record: inout SCTPRecord, _ content: SCTPContent) -> Bool {
        record = SCTPRecord()
        // A chunk that moves nothing leads nowhere from NONE.
        guard content.present.isDisjoint(with: neverFirst.union([.data, .other])) else {
            return false
        }
        if content.contains(.initiation) {
            guard content.verificationTag == 0, !content.present.contains(.shortInitiation) else {
                return false
            }
            record.tagReply = content.initiateTag
        }
        if content.contains(.heartbeat) { record.tagOriginal = content.verificationTag }
        if content.contains(.shutdownAck) { record.tagReply = content.verificationTag }
        return true
    }

    // MARK: The chunks, one by one (steps 4-7)

    /// Kinds that judge their packet's tag themselves.
    private static let tagCheckers: SCTPChunkSet = [
        SCTPChunkSet(.initiation), SCTPChunkSet(.shutdownComplete), SCTPChunkSet(.cookieEcho),
        SCTPChunkSet(.abort), SCTPChunkSet(.shutdownAck), SCTPChunkSet(.heartbeat),
        SCTPChunkSet(.heartbeatAck),
    ]

    private enum Judgement {
        case goOn
        /// Accept as it is: neither state nor timeout change.
        case pass
        case invalid
    }

    private static func follow(
        _ record: inout SCTPRecord, _ content: SCTPContent, _ direction: Direction, isNew: Bool,
        _ status: Status, _ settings: borrowing TrackerSettings
    ) -> TrackerResult {
        var result = TrackerResult(action: .refresh)
        var index = 0
        while let step = content.step(index) {
            index += 1
            switch judge(step, &record, content, direction) {
            case .goOn: break
            case .pass:
                result.action = .pass
                return result
            case .invalid:
                result.action = .invalid
                return result
            }
            let old = record.state
            guard let state = SCTPTransitions.state(from: old, on: step.kind, direction) else {
                result.action = .invalid
                return result
            }
            record.state = state
            if state != old {
                result.changesProtocolState = true
                if state == .established { result.setsAssured = true }
            } else if step.kind == .initiation, state == .closed, !isNew {
                result.action = .pass
                return result
            }
        }
        result.timeout = settings.sctp[Int(record.state.rawValue)]
        return result
    }

    /// What a chunk demands of the packet's tag, and what it leaves in the record.
    private static func judge(
        _ step: SCTPStep, _ record: inout SCTPRecord, _ content: SCTPContent,
        _ direction: Direction
    ) -> Judgement {
        let tag = content.verificationTag
        switch step.kind {
        case .initiation:
            guard tag == 0, !content.present.contains(.shortInitiation) else { return .invalid }
            noteInitiation(&record, content.initiateTag, direction)
        case .initiationAck:
            guard !content.present.contains(.shortInitiation) else { return .invalid }
            return judgeInitiationAck(&record, content.initiateTag, direction)
        case .abort, .shutdownComplete:
            let expected = record[step.reflectsTag ? direction.opposite : direction]
            if tag != expected { return .invalid }
        case .cookieEcho:
            if tag != record[direction] { return .invalid }
        case .cookieAck:
            record.history.subtract([.initiatedByOriginal, .initiatedByReply])
        case .heartbeat:
            if record[direction] == 0 {
                record[direction] = tag
            } else if tag != record[direction] {
                if content.present.contains(.data) { return .invalid }
                record.history.insert(.strayHeartbeat(from: direction))
                return .pass
            }
        case .heartbeatAck:
            if record[direction] == 0 {
                record[direction] = tag
            } else if tag != record[direction] {
                let stray = SCTPHistory.strayHeartbeat(from: direction.opposite)
                guard record.history.contains(stray) else { return .invalid }
                record.history.remove(stray)
                record[direction] = tag
                record[direction.opposite] = 0
            }
        case .shutdown, .shutdownAck, .error: break
        }
        return .goOn
    }

    /// An INIT names the tag its answers will carry.
    private static func noteInitiation(
        _ record: inout SCTPRecord, _ initiateTag: UInt32, _ direction: Direction
    ) {
        let both: SCTPHistory = [.initiatedByOriginal, .initiatedByReply]
        if record.state == .none {
            record.history.insert(.initiated(by: direction))
        } else if record[direction.opposite] != initiateTag {
            if record.history.isSuperset(of: both) {
                record.history.remove(.initiated(by: direction.opposite))
            }
            record.history.insert(.initiated(by: direction))
        }
        record[direction.opposite] = initiateTag
    }

    /// An INIT ACK names its sender's tag, which only an INIT of the other side may change.
    private static func judgeInitiationAck(
        _ record: inout SCTPRecord, _ initiateTag: UInt32, _ direction: Direction
    ) -> Judgement {
        let known = record[direction.opposite]
        if known != 0, known != initiateTag {
            let isAsked = record.history.contains(.initiated(by: direction.opposite))
            let isCollision = isAsked && record.history.contains(.initiated(by: direction))
            if !isAsked || isCollision { return .invalid }
        }
        record[direction.opposite] = initiateTag
        return .goOn
    }
}
