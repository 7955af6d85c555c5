internal import Wire

// What few connections carry: labels, a timeout policy, a helper's memory, the tie between the
// connection a helper expected and its master. All of it lies in one side block, named by the
// extension block, so that a connection without any of it pays nothing.

/// A connection's labels: bits 0 to 127.
public struct LabelSet: Hashable, Sendable, BitwiseCopyable {
    var bits: Address

    public init() { bits = .zero }

    init(_ bits: Address) { self.bits = bits }

    static let count = 128

    /// The set with one label; a number beyond 127 is none.
    init(_ label: UInt8) {
        bits =
            label < 64
            ? Address(high: 0, low: 1 << UInt64(label))
            : Address(high: label < Self.count ? 1 << UInt64(label - 64) : 0, low: 0)
    }

    public var isEmpty: Bool { bits == .zero }

    /// The labels that are set, lowest first.
    public var numbers: [Int] {
        (0..<Self.count).filter { number in
            let word = number < 64 ? bits.low : bits.high
            return word >> UInt64(number % 64) & 1 == 1
        }
    }

    mutating func formUnion(_ other: LabelSet) {
        bits = Address(high: bits.high | other.bits.high, low: bits.low | other.bits.low)
    }

    func isSuperset(of other: LabelSet) -> Bool {
        bits.masked(by: other.bits) == other.bits
    }
}

/// The side block.
struct ConnectionAttachments: BitwiseCopyable {
    var labels = LabelSet()
    /// Into `ConnectionTable.timeoutPolicies`; `UInt32.max` for none.
    var timeoutPolicy = UInt32.max
    var helper: HelperKind?
    /// The connection that announced this one; it is held.
    var master: Slot = .none
    /// Connections this one has announced, which hold it together.
    var children: UInt32 = 0
    /// The newest of its expectations; `UInt32.max` for none.
    var firstExpectation = UInt32.max
    var expectationCount: UInt8 = 0
    /// What changes of the payload did to each direction's sequence numbers.
    var shiftOriginal = SequenceShift()
    var shiftReply = SequenceShift()
    var linesOriginal = FTPLines()
    var linesReply = FTPLines()

    subscript(shift direction: Direction) -> SequenceShift {
        get { direction == .original ? shiftOriginal : shiftReply }
        set {
            if direction == .original { shiftOriginal = newValue } else { shiftReply = newValue }
        }
    }

    subscript(lines direction: Direction) -> FTPLines {
        get { direction == .original ? linesOriginal : linesReply }
        set {
            if direction == .original { linesOriginal = newValue } else { linesReply = newValue }
        }
    }
}

extension ConnectionTable {
    /// The side block's index, or `nil` for a connection without one.
    @inline(__always)
    func attachments(of slot: Slot) -> UInt32? {
        let index = records[slot].extensionIndex
        guard index != UInt32.max, extensions[index].parts.contains(.attachments) else {
            return nil
        }
        return extensions[index].attachments
    }

    /// The side block's index; made where there is none.
    mutating func makeAttachments(_ slot: Slot) -> UInt32 {
        if let known = attachments(of: slot) { return known }
        let made = attached.insert(ConnectionAttachments())
        if records[slot].extensionIndex == UInt32.max {
            records[slot].extensionIndex = extensions.insert(ConnectionExtension(parts: []))
        }
        let index = records[slot].extensionIndex
        extensions[index].parts.insert(.attachments)
        extensions[index].attachments = made
        return made
    }

    /// Adds labels; a change becomes part of the connection's next message.
    mutating func addLabels(_ labels: LabelSet, _ slot: Slot) {
        let index = makeAttachments(slot)
        guard !attached[index].labels.isSuperset(of: labels) else { return }
        attached[index].labels.formUnion(labels)
        note(.labels, slot)
    }

    /// Gives a connection not yet confirmed a timeout policy, and the policy's first timeout.
    ///
    /// A second policy replaces the first. On a confirmed connection it has no effect (observed on
    /// 6.18).
    mutating func setTimeoutPolicy(_ policy: UInt32, _ slot: Slot, at now: Moment) {
        guard !records[slot].status.contains(.confirmed) else { return }
        attached[makeAttachments(slot)].timeoutPolicy = policy
        refresh(slot, timeoutPolicies[Int(policy)].first, at: now)
    }

    /// Whether a rule gave the connection a timeout policy.
    func hasTimeoutPolicy(_ slot: Slot) -> Bool {
        attachments(of: slot).map { attached[$0].timeoutPolicy != .max } ?? false
    }

    /// Gives a connection not yet confirmed a helper; the first one stays.
    mutating func setHelper(_ helper: HelperKind, _ slot: Slot) {
        guard records[slot].status.isDisjoint(with: [.confirmed, .helper]) else { return }
        attached[makeAttachments(slot)].helper = helper
        records[slot].status.insert(.helper)
        note(.helper, slot)
    }

    /// What a listing shows of the side block.
    func describe(_ block: ConnectionAttachments, in entry: inout Entry) {
        entry.labels = block.labels
        entry.helper = block.helper
        // Its children hold a master together, and are counted one by one.
        if block.children > 0 { entry.useCount = block.children + 1 }
        guard block.master != .none, let index = attachments(of: block.master) else { return }
        entry.masterHelper = attached[index].helper
    }

    /// The connection is gone: so is its side block, and its hold on its master.
    mutating func releaseAttachments(_ index: UInt32) {
        let master = attached[index].master
        attached.release(index)
        guard master != .none, let other = attachments(of: master) else { return }
        attached[other].children -= 1
        if attached[other].children == 0 { release(master) }
    }

    /// Ties an expected connection to the one that announced it.
    mutating func tie(_ child: Slot, to master: Slot) {
        let index = makeAttachments(master)
        if attached[index].children == 0 { retain(master) }
        attached[index].children += 1
        attached[makeAttachments(child)].master = master
    }
}
