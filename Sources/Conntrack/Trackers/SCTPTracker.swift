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
        settings: borrowing TrackerSettings
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
        return follow(&record, content, direction, isNew: isNew, settings)
    }

    // MARK: Creation (step 3)

    /// What no association begins with; a chunk that moves nothing leads nowhere from NONE.
    private static let neverFirst: SCTPChunkSet = [
        SCTPChunkSet(.abort), SCTPChunkSet(.shutdownComplete), SCTPChunkSet(.cookieAck), .data,
        .other,
    ]

    /// Takes what a first packet tells.
    ///
    /// Returns whether the connection may begin.
    private static func open(_ record: inout SCTPRecord, _ content: SCTPContent) -> Bool {
        record = SCTPRecord()
        guard content.present.isDisjoint(with: neverFirst) else { return false }
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
        case valid
        /// Valid, but the packet may not prolong the connection.
        case stray
        case invalid
    }

    /// Applies the steps in order.
    ///
    /// What a step has changed stays when a later one is invalid.
    private static func follow(
        _ record: inout SCTPRecord, _ content: SCTPContent, _ direction: Direction, isNew: Bool,
        _ settings: borrowing TrackerSettings
    ) -> TrackerResult {
        var result = TrackerResult(action: .refresh)
        var index = 0
        while let step = content.step(index) {
            index += 1
            let judgement = judge(step, &record, content, direction)
            if judgement == .invalid { return result.refused() }
            let old = record.state
            guard let state = SCTPTransitions.state(from: old, on: step.kind, direction) else {
                return result.refused(
                    .sctpInvalidState(old: old.rawValue, direction, type: step.kind.type))
            }
            if step.kind == .initiation || step.kind == .initiationAck {
                guard acceptsTag(of: step.kind, &record, content, direction) else {
                    return result.refused()
                }
            }
            if judgement == .stray {
                // One may be; a second in the same packet may not.
                if result.action == .pass { return result.refused() }
                result.action = .pass
            }
            // A repeated INIT does not keep alive what is closed.
            if step.kind == .initiation, !isNew, old == .closed, state == .closed {
                result.action = .pass
            }
            guard state != old else { continue }
            record.state = state
            result.changesProtocolState = true
            if state == .established { result.setsAssured = true }
        }
        result.timeout = settings.sctp[Int(record.state.rawValue)]
        return result
    }

    /// What a chunk demands of the packet's tag, and what it tells about tags and heartbeats.
    private static func judge(
        _ step: SCTPStep, _ record: inout SCTPRecord, _ content: SCTPContent,
        _ direction: Direction
    ) -> Judgement {
        let tag = content.verificationTag
        switch step.kind {
        case .initiation:
            return tag == 0 ? .valid : .invalid
        case .abort, .shutdownComplete:
            return tag == record[step.reflectsTag ? direction.opposite : direction]
                ? .valid : .invalid
        case .cookieEcho:
            return tag == record[direction] ? .valid : .invalid
        case .cookieAck:
            record.history.subtract(.initiatedByBoth)
        case .heartbeat:
            return judgeHeartbeat(&record, content, direction)
        case .heartbeatAck:
            return judgeHeartbeatAck(&record, content, direction)
        case .initiationAck, .shutdown, .shutdownAck, .error: break
        }
        return .valid
    }

    /// A HEARTBEAT with a tag that is not expected may come from an end that began anew: the
    /// answer to it decides.
    private static func judgeHeartbeat(
        _ record: inout SCTPRecord, _ content: SCTPContent, _ direction: Direction
    ) -> Judgement {
        if record[direction] == 0 {
            record[direction] = content.verificationTag
        } else if record[direction] == content.verificationTag {
            record.strayHeartbeat = nil
        } else {
            if content.present.contains(.data) { return .invalid }
            record.strayHeartbeat = direction
            return .stray
        }
        return .valid
    }

    private static func judgeHeartbeatAck(
        _ record: inout SCTPRecord, _ content: SCTPContent, _ direction: Direction
    ) -> Judgement {
        if record[direction] == 0 {
            record[direction] = content.verificationTag
        } else if record[direction] == content.verificationTag {
            record.strayHeartbeat = nil
        } else {
            guard record.strayHeartbeat == direction.opposite, !content.present.contains(.data)
            else { return .invalid }
            record.strayHeartbeat = nil
            record[direction] = content.verificationTag
            record[direction.opposite] = 0
        }
        return .valid
    }

    /// INIT and INIT ACK name the tag of the answers to their sender (step 6).
    ///
    /// Returns whether they may.
    private static func acceptsTag(
        of kind: SCTPChunkKind, _ record: inout SCTPRecord, _ content: SCTPContent,
        _ direction: Direction
    ) -> Bool {
        guard !content.present.contains(.shortInitiation) else { return false }
        let known = record[direction.opposite]
        let own = SCTPHistory.initiated(by: direction)
        let other = SCTPHistory.initiated(by: direction.opposite)
        if kind == .initiation {
            if record.state == .none {
                record.history.insert(own)
            } else if known != content.initiateTag {
                if record.history.isSuperset(of: .initiatedByBoth) { record.history.remove(other) }
                record.history.insert(own)
            }
        } else if known != content.initiateTag {
            // What was known already may only change after an INIT of the other side; where both
            // sides sent one, each has named its tag for good, 0 included.
            if record.history.isSuperset(of: .initiatedByBoth) { return false }
            if known != 0, !record.history.contains(other) { return false }
        }
        record[direction.opposite] = content.initiateTag
        return true
    }
}

extension TrackerResult {
    /// The packet gets no connection, but what it has changed is changed.
    fileprivate func refused(_ remark: TrackerRemark.Text? = nil) -> TrackerResult {
        var result = self
        result.action = .invalid
        result.remark = remark
        return result
    }
}
