public import Conntrack

/// Changes of the counters of `conntrack -S`, in its order, with `count` last.
///
/// A JSON object of name and number. Decoding takes any name, the kernel's own among them.
public struct CounterChanges: Codable, Sendable, Hashable {
    public struct Change: Sendable, Hashable {
        public var name: String
        public var value: Int

        public init(name: String, value: Int) {
            self.name = name
            self.value = value
        }
    }

    public var changes: [Change]

    public init(_ changes: [Change]) { self.changes = changes }

    /// What moved from `old` to `new`, or `nil` where nothing did.
    ///
    /// `count` is the number of entries now, when it is not what it was.
    public init?(
        from old: Counters, to new: Counters, oldCount: UInt32, newCount: UInt32
    ) {
        guard old != new || oldCount != newCount else { return nil }
        changes = zip(old.named, new.named).compactMap { before, after in
            // Counters wrap; the difference does not mind.
            let difference = after.value &- before.value
            return difference == 0 ? nil : Change(name: after.name, value: Int(difference))
        }
        if oldCount != newCount {
            changes.append(Change(name: "count", value: Int(newCount)))
        }
    }

    /// All counters as they stand.
    public init(_ counters: Counters) {
        changes = counters.named.map { Change(name: $0.name, value: Int($0.value)) }
    }

    /// The value under `name`, or under the name /proc/net/stat has for the same counter.
    public subscript(name: String) -> Int? {
        changes.first { Self.toolName($0.name) == name }?.value
    }

    /// The tool's name of a counter that /proc/net/stat/nf_conntrack calls `name`.
    public static func toolName(_ name: String) -> String {
        switch name {
        case "icmp_error": "error"
        case "chainlength": "chaintoolong"
        case "clashres": "clash_resolve"
        default: name
        }
    }

    private struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }

        init?(intValue: Int) { nil }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        let order = Counters().named.map(\.name) + ["count"]
        changes = try container.allKeys
            .map { Change(name: $0.stringValue, value: try container.decode(Int.self, forKey: $0)) }
            .sorted { left, right in
                let places = [left, right].map {
                    order.firstIndex(of: Self.toolName($0.name)) ?? order.count
                }
                return places[0] != places[1] ? places[0] < places[1] : left.name < right.name
            }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Name.self)
        for change in changes {
            try container.encode(change.value, forKey: Name(stringValue: change.name))
        }
    }
}
