internal import Wire

// Sets that rules add elements to: session affinity, lists of recent addresses.

/// A dynamic set as its text declares it; its elements are in `RuleState`.
struct DynamicSet: Sendable, BitwiseCopyable {
    var fieldCount: Int32
    /// How long an element lives; `nil`: for ever.
    var timeoutNanoseconds: UInt64?
    /// The most elements it holds.
    var size: Int32
}

/// One `add` or `update` statement.
struct SetUpdate: Sendable, BitwiseCopyable {
    var set: Int32
    /// The statement's own lifetime, which goes before the set's.
    var timeoutNanoseconds: UInt64?
    /// `update`: an element that is there lives on from now.
    var refreshes: Bool
}

/// An element's key: up to four fields, the others zero.
struct SetKey: Hashable, Sendable {
    static let fieldLimit = 4

    private var fields: (Address, Address, Address, Address) = (.zero, .zero, .zero, .zero)

    init(_ registers: borrowing RegisterFile, at register: Register, _ fieldCount: Int32) {
        fields.0 = registers[register]
        if fieldCount > 1 { fields.1 = registers[register + 1] }
        if fieldCount > 2 { fields.2 = registers[register + 2] }
        if fieldCount > 3 { fields.3 = registers[register + 3] }
    }

    static func == (left: SetKey, right: SetKey) -> Bool { left.fields == right.fields }

    func hash(into hasher: inout Hasher) {
        hasher.combine(fields.0)
        hasher.combine(fields.1)
        hasher.combine(fields.2)
        hasher.combine(fields.3)
    }
}

extension RuleState {
    /// Whether the element is there and has not expired.
    @inline(never)
    func holds(_ key: SetKey, _ set: Int, _ now: Instant) -> Bool {
        guard let deadline = elements[set][key] else { return false }
        return now < deadline
    }

    /// Enters an element, or lets it live on; `false` where the set is full.
    ///
    /// Expired elements make room: the kernel's collector has taken them away by then.
    @inline(never)
    mutating func enter(
        _ key: SetKey, _ update: SetUpdate, _ set: DynamicSet, _ now: Instant
    ) -> Bool {
        let index = Int(update.set)
        let lifetime = update.timeoutNanoseconds ?? set.timeoutNanoseconds
        let deadline = lifetime.map { Instant(nanoseconds: now.nanoseconds &+ $0) }
        if let known = elements[index][key], now < known {
            if update.refreshes { elements[index][key] = deadline ?? Instant(nanoseconds: .max) }
            return true
        }
        if elements[index].count >= Int(set.size) {
            elements[index] = elements[index].filter { now < $0.value }
            guard elements[index].count < Int(set.size) else { return false }
        }
        elements[index][key] = deadline ?? Instant(nanoseconds: .max)
        return true
    }
}
