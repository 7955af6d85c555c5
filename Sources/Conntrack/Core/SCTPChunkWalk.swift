/// Sums up the chunks of a packet, one after the other, into what the tracker has to know.
///
/// A packet may hold thousands of chunks, but after a few of them no further one can matter. A
/// chunk becomes a step only if some association, in whatever state, could tell: either it would
/// move a state that those before have led to, or it is the first of its kind to judge the packet's
/// tag. What is left out changes nothing for any association, so that the summary is exact; and as
/// states only move forward, at most twelve steps are left of any packet.
public struct SCTPChunkWalk: Sendable {
    public private(set) var content: SCTPContent
    private var chunkCount: UInt16 = 0
    /// Where the steps so far lead from each state, per direction, as a row of the table.
    private var targets = (
        original: SCTPTransitions.standstill, reply: SCTPTransitions.standstill
    )
    private var judged: Judged = []

    /// Which questions about the packet's tag have been asked.
    private struct Judged: OptionSet {
        let rawValue: UInt8

        static let abort = Judged(rawValue: 1)
        static let reflectedAbort = Judged(rawValue: 2)
        static let heartbeat = Judged(rawValue: 4)
        static let secondHeartbeat = Judged(rawValue: 8)
        static let heartbeatAck = Judged(rawValue: 16)
        static let secondHeartbeatAck = Judged(rawValue: 32)
    }

    public init(verificationTag: UInt32) {
        content = SCTPContent()
        content.verificationTag = verificationTag
    }

    /// Takes the next chunk.
    ///
    /// Behind a defect nothing is looked at.
    ///
    /// - Parameters:
    ///   - initiateTag: of an INIT or INIT ACK; `nil` where the packet ends before it.
    ///
    /// Kernel: `do_basic_checks()`; spec protocols.md §7 step 2.
    public mutating func append(
        type: UInt8, flags: UInt8 = 0, lengthField: UInt16, initiateTag: UInt32? = nil
    ) {
        guard content.defect == nil else { return }
        let kind = SCTPChunkKind(type: type)
        let standsAlone =
            !content.present.isDisjoint(with: Self.lonely) || kind?.standsAlone == true
        let isFirst = chunkCount == 0
        if lengthField == 0 || (!isFirst && (standsAlone || kind?.comesFirst == true)) {
            content.defect = SCTPDefect(
                number: chunkCount, type: type, lengthField: lengthField, standsAlone: standsAlone)
            return
        }
        chunkCount &+= 1
        guard let kind else {
            content.present.insert(type == 0 ? .data : .other)
            return
        }
        content.present.insert(SCTPChunkSet(kind))
        if kind == .initiation || kind == .initiationAck {
            if let initiateTag {
                content.initiateTag = initiateTag
            } else {
                content.present.insert(.shortInitiation)
            }
        }
        let step = SCTPStep(kind, reflectsTag: kind.heedsTagFlag && flags & 1 != 0)
        let moves = move(kind)
        if judges(step) || moves || isFirst { content.append(step) }
    }

    private static let lonely: SCTPChunkSet = [
        SCTPChunkSet(.initiation), SCTPChunkSet(.initiationAck), SCTPChunkSet(.shutdownComplete),
    ]

    /// Leads every state on.
    ///
    /// Returns whether any moved.
    private mutating func move(_ kind: SCTPChunkKind) -> Bool {
        let old = targets
        targets.original = SCTPTransitions.lead(old.original, on: kind, .original)
        targets.reply = SCTPTransitions.lead(old.reply, on: kind, .reply)
        return targets != old
    }

    /// Whether the step may learn from the packet's tag, or be refused because of it, where those
    /// before were not.
    ///
    /// An ABORT that passed once passes again, unless it goes by the peer's tag and a HEARTBEAT
    /// ACK has made the association forget that. The first HEARTBEAT may teach the tag or be a
    /// stray, and the second be refused or end the wait for an answer; so for HEARTBEAT ACK.
    private mutating func judges(_ step: SCTPStep) -> Bool {
        switch step.kind {
        case .abort:
            return judged.insert(step.reflectsTag ? .reflectedAbort : .abort).inserted
        case .heartbeat:
            return judged.insert(.heartbeat).inserted || judged.insert(.secondHeartbeat).inserted
        case .heartbeatAck:
            if judged.insert(.heartbeatAck).inserted {
                judged.remove(.reflectedAbort)
                return true
            }
            return judged.insert(.secondHeartbeatAck).inserted
        default: return false
        }
    }
}
