internal import Wire

// The protocols a rule is about: nft adds the checks it takes to read a field, and refuses rules
// that contradict themselves.

/// What a rule is known to be about at some point of it: nft adds the checks it takes to read a
/// field, and refuses rules that contradict themselves.
struct Layers {
    /// The network protocol: the table's, or what the rule has asked for.
    var network: Family?
    var transport: UInt8?
    /// The protocols of a `meta l4proto { … }`; empty where none was asked for.
    var transports: [UInt8] = []
    /// Some match of the transport protocol came before: what ports are allowed behind.
    var hasTransport = false

    init() {}

    init(_ family: TableSyntax.Family) {
        switch family {
        case .ip: network = .ipv4
        case .ip6: network = .ipv6
        case .inet: break
        }
    }
}

extension RulesetCompiler {
    /// Emits the checks a field takes that the rule has not made yet, and notes what it reads.
    mutating func require(
        _ selector: Selector, at expression: Expression
    ) throws(Stop) -> Selector {
        var selector = selector
        if selector.field.needsTracking { track() }
        if selector.field.needsEntry { graph.noteEntryRead(in: chain) }
        if selector.leavesFamilyOpen {
            guard let network = layers.network else {
                throw fail(
                    expression,
                    expected: "'ip' or 'ip6' before the address, in a table of both")
            }
            if network == .ipv6 { selector = selector.inIPv6 }
        } else if let family = selector.type.family, selector.network == nil,
            let known = layers.network, known != family
        {
            throw fail(expression, expected: "a field of the rule's network protocol")
        }
        if selector.field.isConnectionPort, !layers.hasTransport {
            throw fail(
                expression, expected: "a match of the transport protocol before the ports")
        }
        if selector.field == .family, syntax.tables[table].family != .inet {
            throw fail(expression, expected: "'meta nfproto' in tables of family inet only")
        }
        if let family = selector.network { try require(family, at: expression) }
        if let transport = selector.transport { try require(transport, at: expression) }
        return selector
    }

    mutating func require(_ family: Family, at expression: Expression) throws(Stop) {
        if let known = layers.network {
            guard known == family else {
                throw fail(
                    expression,
                    expected: "a field of \(known == .ipv4 ? "IPv4" : "IPv6"), which the table or "
                        + "the rule asks for")
            }
            return
        }
        emit(.test(.family, mask: .max, .equal, UInt64(family.rawValue)))
        layers.network = family
    }

    mutating func require(_ transport: UInt8, at expression: Expression) throws(Stop) {
        guard layers.transports.allSatisfy({ $0 == transport }) else {
            throw fail(
                expression,
                expected: "a field that all protocols of the rule's set have, such as 'th dport'")
        }
        if let known = layers.transport, known != transport {
            let name = Vocabulary.protocols.first { $0.value == UInt64(known) }?.name
            throw fail(
                expression,
                expected: "a field of protocol \(name ?? "\(known)"), which the rule asks for")
        }
        guard layers.transport == nil else { return }
        emit(.test(.transportProtocol, mask: .max, .equal, UInt64(transport)))
        layers.transport = transport
        layers.hasTransport = true
    }

    /// The rule needs the tracker (spec policy.md §2).
    mutating func track() {
        let families = syntax.tables[table].family.families
        guard !families.allSatisfy({ ruleset.tracked[$0] != nil }) else { return }
        // A table's chains are registered before its rules are read, and before the next table's.
        let last = syntax.tables[...table].lazy.flatMap(\.chains).map(\.order).max() ?? 0
        for family in families where ruleset.tracked[family] == nil {
            ruleset.tracked[family] = last
        }
    }
}

extension Selector {
    /// The same address of an IPv6 flow.
    fileprivate var inIPv6: Selector {
        var copy = self
        copy.type = .ipv6Address
        switch field {
        case .originalSource4: copy.field = .originalSource6
        case .originalDestination4: copy.field = .originalDestination6
        case .replySource4: copy.field = .replySource6
        case .replyDestination4: copy.field = .replyDestination6
        default: break
        }
        return copy
    }
}
