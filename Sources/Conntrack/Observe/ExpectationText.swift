public import Wire

// Expectations as `conntrack -L expect`, `conntrack -E expect` and /proc/net/nf_conntrack_expect
// print them: spec formats.md §2 and §3.

/// An expectation as seen from outside.
public struct ExpectationEntry: Sendable, Hashable, BitwiseCopyable {
    /// What the first packet will look like on arrival; a source part of 0 is any.
    public var tuple: Tuple
    public var sourceMask: Address
    public var sourcePartMask: UInt16
    /// The original tuple of the connection that announced it.
    public var master: Tuple
    public var helper: HelperKind
    public var remainingTicks: Int32

    init(_ expectation: Expectation, master: Tuple, remainingTicks: Int32) {
        tuple = expectation.tuple
        sourceMask = expectation.sourceMask
        sourcePartMask = expectation.sourcePartMask
        self.master = master
        helper = expectation.helper
        self.remainingTicks = remainingTicks
    }
}

/// One ctnetlink message about an expectation.
public struct ExpectationEvent: Sendable, Hashable, BitwiseCopyable {
    /// NEW or DESTROY: there is no other.
    public var kind: EventKind
    public var expectation: ExpectationEntry
    public var at: Instant

    init(_ kind: EventKind, _ expectation: ExpectationEntry, at: Instant) {
        self.kind = kind
        self.expectation = expectation
        self.at = at
    }
}

extension Listing {
    /// A line of `conntrack -L expect`.
    public func line(_ expectation: ExpectationEntry) -> String {
        let (tuple, master) = (expectation.tuple, expectation.master)
        let family = tuple.family
        let all = Address.mask(prefix: family.addressBits, family).text(family)
        var line = "\(base.seconds(expectation.remainingTicks)) proto=\(tuple.protocolNumber) "
        line += "src=\(tuple.source.text(family)) dst=\(tuple.destination.text(family)) "
        line += "sport=\(tuple.sourcePart) dport=\(tuple.destinationPart) "
        line += "mask-src=\(expectation.sourceMask.text(family)) mask-dst=\(all) "
        line += "sport=\(expectation.sourcePartMask) dport=65535 "
        line += "master-src=\(master.source.text(family)) "
        line += "master-dst=\(master.destination.text(family)) "
        line += "sport=\(master.sourcePart) dport=\(master.destinationPart) "
        return line + "class=0 helper=\(expectation.helper.name)"
    }

    /// A line of `conntrack -E expect`.
    public func eventLine(_ event: ExpectationEvent) -> String {
        let tag = event.kind == .new ? "    [NEW]" : "[DESTROY]"
        return "\(tag) \(line(event.expectation))"
    }

    /// A line of `/proc/net/nf_conntrack_expect`.
    public func procLine(_ expectation: ExpectationEntry) -> String {
        let tuple = expectation.tuple
        var line = "\(base.seconds(expectation.remainingTicks)) "
        line += "l3proto = \(tuple.family.rawValue) proto=\(tuple.protocolNumber) "
        line += "src=\(tuple.source.fullText(tuple.family)) "
        line += "dst=\(tuple.destination.fullText(tuple.family)) "
        line += "sport=\(tuple.sourcePart) dport=\(tuple.destinationPart) "
        return line + expectation.helper.name
    }
}

extension ToolMessage {
    public static func expectationsShown(_ count: Int) -> String {
        "conntrack v1.4.7 (conntrack-tools): \(count) expectations have been shown."
    }
}
