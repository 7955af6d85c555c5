internal import Wire

// One rule: its statements, from left to right.

extension RulesetParser {
    /// What a message lists where a statement should begin.
    static let anyStatement =
        "a match (\(matchWords.joined(separator: ", "))) or a statement "
        + "(\(statementWords.joined(separator: ", ")))"

    static let matchWords = [
        "meta", "iif", "oif", "iifname", "oifname", "ip", "ip6", "tcp", "udp", "udplite", "sctp",
        "th", "icmp", "icmpv6", "ct", "fib", "numgen", "jhash",
    ]

    static let statementWords = [
        "accept", "drop", "reject", "jump", "goto", "return", "continue", "counter", "limit",
        "log", "snat", "dnat", "masquerade", "redirect", "notrack", "add", "update", "comment",
    ]

    /// Statements and matches of nftables outside the subset: refused by name.
    private static let unsupportedWords = [
        "queue", "tproxy", "synproxy", "dup", "fwd", "flow", "quota", "meter", "set",
        "delete", "last", "xt", "rt", "socket", "osf", "ipsec", "symhash",
        "ether", "arp", "vlan", "igmp", "esp", "ah", "comp", "dccp", "dst", "hbh", "frag", "mh",
        "srh", "exthdr", "geneve", "vxlan", "gre", "tunnel", "cpu", "day", "hour", "time",
        "skuid", "skgid", "cgroup", "rtclassid", "iiftype", "oiftype", "iifgroup", "oifgroup",
        "ibrname", "obrname", "pkttype", "random", "nftrace", "secmark",
    ]

    /// The rule up to its `;` or line end.
    mutating func rule() throws(Stop) -> RuleSyntax {
        let start = current
        var statements: [StatementSyntax] = []
        var comment: String?
        while !isAtEndOfRule {
            if take(word: "comment") {
                comment = try quotedText("a comment", limit: 128)
                guard isAtEndOfRule else {
                    throw fail(expected: "the end of the rule behind its comment")
                }
                break
            }
            if let last = statements.last, last.endsRule {
                throw fail(expected: "the end of the rule: '\(last.text)' ends it")
            }
            guard statements.count < RulesetLimits.statementsPerRule else {
                throw fail(
                    expected: "at most \(RulesetLimits.statementsPerRule) statements in a rule")
            }
            statements.append(try statement())
        }
        guard !statements.isEmpty else { throw fail(expected: Self.anyStatement) }
        ruleCount += 1
        guard ruleCount <= RulesetLimits.rules else {
            throw fail(at: start, expected: "at most \(RulesetLimits.rules) rules")
        }
        return RuleSyntax(
            statements: statements, comment: comment, position: start.position,
            text: text(from: start, limit: 4096))
    }

    private var isAtEndOfRule: Bool {
        current.kind == .newline || current.kind == .end || isSign(";") || isSign("}")
    }

    private mutating func statement() throws(Stop) -> StatementSyntax {
        let start = current
        let kind = try statementKind()
        return StatementSyntax(kind: kind, position: start.position, text: start.text)
    }

    private mutating func statementKind() throws(Stop) -> StatementSyntax.Kind {
        if let verdict = try verdictIfAny() { return .verdict(verdict) }
        guard current.kind == .word else {
            // `(meta mark) & 1` is legal; everything else begins with a word.
            guard isSign("(") else { throw fail(expected: Self.anyStatement) }
            return try match()
        }
        switch current.text {
        case "counter": return try counter()
        case "limit": return try limit()
        case "log": return try log()
        case "reject": return try reject()
        case "snat", "dnat", "masquerade", "redirect": return .translate(try translation())
        case "notrack":
            advance()
            return .notrack
        case "add", "update": return try updateSet()
        case "meta" where following.text == "mark": return try markStatementOrMatch("meta")
        case "mark": return try markStatementOrMatch(nil)
        case "ct": return try connectionStatementOrMatch()
        default: return try match()
        }
    }

    /// The finding for a word no statement begins with.
    mutating func failUnknownWord(_ token: RulesetToken) -> Stop {
        if Self.unsupportedWords.contains(token.text) {
            return fail(
                at: token,
                expected: "\(Self.anyStatement); '\(token.text)' is not supported")
        }
        return fail(
            at: token, expected: Self.anyStatement, near: Self.matchWords + Self.statementWords)
    }

    // MARK: Matches

    private mutating func match() throws(Stop) -> StatementSyntax.Kind {
        let left = try leftSide()
        return try match(left)
    }

    private mutating func match(_ left: Expression) throws(Stop) -> StatementSyntax.Kind {
        if take(word: "vmap") { return .verdictMap(left, try mapOperand()) }
        let relation = relationalOperator
        if relation != .implicit { advance() }
        if relation == .implicit, current.kind == .word, current.text == "set" {
            throw fail(
                expected: "a value to compare with: only marks, 'ct zone', 'ct label', 'ct helper' "
                    + "and 'ct timeout' can be set")
        }
        if case .selector(let selector) = left.kind { slashBeginsMask = selector.type.isBitmask }
        let right = try rightSide()
        slashBeginsMask = false
        guard isSign("/") else { return .match(left, relation, right) }
        guard relation == .implicit || relation == .equal || relation == .notEqual else {
            throw fail(expected: "'value / mask' only with '==' or '!='")
        }
        advance()
        let mask = try rightSide()
        guard case .list = mask.kind else {
            throw fail(expected: "',' and more flags: a mask of one flag is not nft's")
        }
        return .matchMasked(left, isNegated: relation == .notEqual, value: right, mask: mask)
    }

    private var relationalOperator: RelationalOperator {
        guard current.kind == .sign || current.kind == .word else { return .implicit }
        return switch current.text {
        case "==", "eq": .equal
        case "!=", "ne": .notEqual
        case "<", "lt": .less
        case ">", "gt": .greater
        case "<=", "le": .lessOrEqual
        case ">=", "ge": .greaterOrEqual
        case "!": .not
        default: .implicit
        }
    }

    // MARK: Marks and ct

    private mutating func markStatementOrMatch(
        _ head: String?
    ) throws(Stop) -> StatementSyntax.Kind {
        if head == nil {
            guard following.text == "set" else { return try match() }
            advance()
            advance()
            return .setPacketMark(try setValue())
        }
        let left = try leftSide()
        guard isWord("set") else { return try match(left) }
        guard case .selector = left.kind else { throw fail(expected: "a comparison") }
        advance()
        return .setPacketMark(try setValue())
    }

    private mutating func connectionStatementOrMatch() throws(Stop) -> StatementSyntax.Kind {
        let refused = ["expectation", "event", "count", "secmark"]
        if following.kind == .word, refused.contains(following.text) {
            let word = following
            advance()
            throw fail(
                at: word,
                expected: "one of the supported keys of 'ct': \(Self.connectionKeyNames); "
                    + "'ct \(word.text)' is not supported")
        }
        if following.kind == .word, following.text == "timeout" { return try timeoutStatement() }
        let left = try leftSide()
        guard isWord("set") else { return try match(left) }
        guard case .selector(let selector) = left.kind else {
            throw fail(expected: "a comparison")
        }
        if let statement = try attachingStatement(selector) { return statement }
        guard selector.field == .connectionMark else {
            throw fail(
                expected: "a comparison: of 'ct', only mark, zone, label, helper and timeout can "
                    + "be set")
        }
        advance()
        return .setConnectionMark(try setValue())
    }

    /// What a mark can be set to: a number, or something read with an operation on it.
    mutating func setValue() throws(Stop) -> Expression {
        switch current.kind {
        case .number, .variable, .quoted: return try rangeOrValue()
        case .word where Self.matchWords.contains(current.text) || current.text == "mark":
            return try leftSide()
        case .sign where following.kind == .word:  // `(ct mark & 1) | 2`
            return try leftSide()
        default: return try rangeOrValue()
        }
    }

    // MARK: Verdicts

    /// A verdict, if one is next.
    mutating func verdictIfAny() throws(Stop) -> VerdictSyntax? {
        guard current.kind == .word else { return nil }
        switch current.text {
        case "accept": return bareVerdict(.accept)
        case "drop": return bareVerdict(.drop)
        case "continue": return bareVerdict(.continue)
        case "return": return bareVerdict(.return)
        case "jump", "goto":
            let isJump = current.text == "jump"
            advance()
            let target = try chainName()
            return VerdictSyntax(
                kind: isJump ? .jump(target.text) : .goto(target.text), position: target.position)
        default: return nil
        }
    }

    private mutating func bareVerdict(_ kind: VerdictSyntax.Kind) -> VerdictSyntax {
        defer { advance() }
        return VerdictSyntax(kind: kind, position: current.position)
    }

    private mutating func chainName() throws(Stop) -> (text: String, position: SourcePosition) {
        guard current.kind == .variable else { return try name(of: "chain") }
        let token = current
        guard case .word(let text) = try variable().kind else {
            throw fail(at: token, expected: "a define that holds the name of a chain")
        }
        return (text, token.position)
    }
}

extension StatementSyntax {
    /// Nothing behind it in the rule would ever run.
    var endsRule: Bool {
        switch kind {
        case .verdict(let verdict): verdict.kind != .continue
        case .reject, .translate: true
        case .match, .matchMasked, .verdictMap, .counter, .limit, .log, .notrack,
            .setPacketMark, .setConnectionMark, .setZone, .attachTemplate, .setLabel, .setObject,
            .copyMark, .updateSet, .connection, .eitherPort:
            false
        }
    }
}
