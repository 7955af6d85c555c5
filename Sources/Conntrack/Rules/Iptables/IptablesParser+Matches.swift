internal import Wire

// What a rule's own conditions and its matches mean.

extension IptablesParser {
    /// `-p`, `-s`, `-d`, `-i`, `-o`.
    mutating func ownStatements(_ parts: Parts) throws(Stop) -> [StatementSyntax] {
        var statements: [StatementSyntax?] = []
        let network = family == .ipv4 ? "ip" : "ip6"
        if let argument = parts.own("-p"), let word = argument.values.first,
            let number = try transport(word)
        {
            statements.append(
                match(
                    field("meta", "l4proto", word), isNegated: argument.isNegated,
                    expression(.number(number), word), word))
        }
        for (name, key) in [("-s", "saddr"), ("-d", "daddr")] {
            guard let argument = parts.own(name), let word = argument.values.first else {
                continue
            }
            statements.append(
                try addressMatch(
                    field(network, key, word), isNegated: argument.isNegated, word))
        }
        for (name, key) in [("-i", "iifname"), ("-o", "oifname")] {
            guard let argument = parts.own(name), let word = argument.values.first else {
                continue
            }
            statements.append(
                try interfaceMatch(key, isNegated: argument.isNegated, word))
        }
        return statements.compactMap { $0 }
    }

    mutating func statements(
        _ match: IptablesCall, _ parts: Parts
    ) throws(Stop) -> [StatementSyntax] {
        switch match.module.name {
        case "comment": return []
        case "conntrack": return [try connection(match)]
        case "state": return try state(match)
        case "tcp", "udp", "udplite", "sctp": return try portMatches(match, parts)
        case "icmp", "icmp6": return try icmp(match)
        case "multiport": return try multiport(match, parts)
        case "mark": return try marks(match, field("meta", "mark", match.word))
        case "connmark":
            return try marks(
                match, connectionField(Selector.connectionKeys, "mark", match.word))
        case "statistic": return [try statistic(match)].compactMap { $0 }
        case "addrtype": return try addressTypes(match)
        case "limit": return [try limit(match)]
        default: return try recent(match)
        }
    }

    // MARK: Ports

    private mutating func portMatches(
        _ call: IptablesCall, _ parts: Parts
    ) throws(Stop) -> [StatementSyntax] {
        let name = call.module.name
        guard let own = parts.own("-p"), !own.isNegated, own.values.first?.text == name else {
            throw fail(call.word, expected: "'-p \(name)' in the rule")
        }
        var statements: [StatementSyntax] = []
        for argument in call.arguments {
            switch argument.name {
            case "--tcp-flags":
                statements.append(try flags(argument))
            case "--syn":
                statements.append(
                    maskedFlags(argument, mask: 0x17, value: 0x02, isNegated: argument.isNegated))
            default:
                let key =
                    argument.name == "--sport" || argument.name == "--source-port"
                    ? "sport" : "dport"
                statements.append(
                    match(
                        field(name, key, argument.option), isNegated: argument.isNegated,
                        try ports(argument.values[0].text, argument.values[0]),
                        argument.option))
            }
        }
        return statements
    }

    /// The flags of `--tcp-flags FIN,SYN,RST,ACK SYN`.
    private mutating func flags(_ argument: IptablesArgument) throws(Stop) -> StatementSyntax {
        var bits: [UInt64] = []
        for word in argument.values {
            var sum: UInt64 = 0
            for name in word.text.split(separator: ",") {
                let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"]
                switch name {
                case "ALL": sum |= 0x3f
                case "NONE": break
                default:
                    guard let index = names.firstIndex(of: String(name)) else {
                        throw fail(
                            word,
                            expected: "TCP flags: \(names.joined(separator: ", ")), ALL, "
                                + "NONE", near: names)
                    }
                    sum |= 1 << UInt64(index)
                }
            }
            bits.append(sum)
        }
        return maskedFlags(
            argument, mask: bits[0], value: bits[1], isNegated: argument.isNegated)
    }

    private func maskedFlags(
        _ argument: IptablesArgument, mask: UInt64, value: UInt64, isNegated: Bool
    ) -> StatementSyntax {
        statement(
            .matchMasked(
                field("tcp", "flags", argument.option), isNegated: isNegated,
                value: expression(.number(value), argument.option),
                mask: expression(.number(mask), argument.option)),
            argument.option)
    }

    private mutating func multiport(
        _ call: IptablesCall, _ parts: Parts
    ) throws(Stop) -> [StatementSyntax] {
        let transports = ["tcp", "udp", "udplite", "sctp", "dccp"]
        guard let own = parts.own("-p"), !own.isNegated, let name = own.values.first?.text,
            transports.contains(name)
        else {
            throw fail(call.word, expected: "'-p' and one of \(transports.joined(separator: ", "))")
        }
        var statements: [StatementSyntax] = []
        for argument in call.arguments {
            let word = argument.values[0]
            var elements: [ElementSyntax] = []
            for part in word.text.split(separator: ",", omittingEmptySubsequences: false) {
                elements.append(ElementSyntax(key: try ports(part, word)))
            }
            guard elements.count <= 15 else { throw fail(word, expected: "at most 15 ports") }
            guard argument.name != "--ports" else {
                statements.append(
                    statement(
                        .eitherPort(elements, isNegated: argument.isNegated), argument.option))
                continue
            }
            let key = argument.name == "--sports" ? "sport" : "dport"
            statements.append(
                match(
                    field("th", key, argument.option), isNegated: argument.isNegated,
                    expression(.set(elements), word), argument.option))
        }
        return statements
    }

    // MARK: ICMP

    /// Names that stand for a type and a code together.
    private static let icmpNames: [(name: String, type: UInt64, code: UInt64?)] =
        Vocabulary.icmpCodes.map { ($0.name, 3, $0.value) } + [
            ("network-unreachable", 3, 0), ("protocol-unreachable", 3, 2),
            ("fragmentation-needed", 3, 4), ("communication-prohibited", 3, 13),
            ("echo-request", 8, nil), ("ping", 8, nil), ("echo-reply", 0, nil), ("pong", 0, nil),
            ("destination-unreachable", 3, nil), ("source-quench", 4, nil), ("redirect", 5, nil),
            ("time-exceeded", 11, nil), ("ttl-exceeded", 11, nil),
            ("parameter-problem", 12, nil), ("timestamp-request", 13, nil),
            ("timestamp-reply", 14, nil),
        ]

    private static let icmpv6Names: [(name: String, type: UInt64, code: UInt64?)] =
        [
            ("no-route", 1, 0), ("port-unreachable", 1, 4), ("echo-request", 128, nil),
            ("echo-reply", 129, nil), ("neighbour-solicitation", 135, nil),
            ("neighbor-solicitation", 135, nil), ("neighbour-advertisement", 136, nil),
            ("neighbor-advertisement", 136, nil), ("router-solicitation", 133, nil),
            ("router-advertisement", 134, nil), ("destination-unreachable", 1, nil),
            ("packet-too-big", 2, nil), ("time-exceeded", 3, nil), ("parameter-problem", 4, nil),
        ]

    private mutating func icmp(_ call: IptablesCall) throws(Stop) -> [StatementSyntax] {
        let head = call.module.name == "icmp" ? "icmp" : "icmpv6"
        let names = head == "icmp" ? Self.icmpNames : Self.icmpv6Names
        var statements: [StatementSyntax] = []
        for argument in call.arguments {
            let word = argument.values[0]
            var type: UInt64
            var code: UInt64?
            if let known = names.first(where: { $0.name == word.text }) {
                (type, code) = (known.type, known.code)
            } else if word.text == "any" || (head == "icmp" && word.text == "255") {
                continue
            } else {
                let parts = word.text.split(separator: "/", maxSplits: 1)
                guard let first = parts.first, first.first?.isNumber == true else {
                    throw fail(
                        word, expected: "an ICMP type: its number, number/code or name",
                        near: names.map(\.name))
                }
                type = try number(first, word, atMost: 255, "an ICMP type")
                if parts.count > 1 {
                    code = try number(parts[1], word, atMost: 255, "an ICMP code")
                }
            }
            let typeField = field(head, "type", word)
            guard let code else {
                statements.append(
                    match(
                        typeField, isNegated: argument.isNegated,
                        expression(.number(type), word), argument.option))
                continue
            }
            let both = expression(
                .concatenation([
                    expression(.number(type), word), expression(.number(code), word),
                ]), word)
            statements.append(
                match(
                    expression(.concatenation([typeField, field(head, "code", word)]), word),
                    isNegated: argument.isNegated,
                    expression(.set([ElementSyntax(key: both)]), word), argument.option))
        }
        return statements
    }

    // MARK: Marks and chance

    private mutating func marks(
        _ call: IptablesCall, _ read: Expression
    ) throws(Stop) -> [StatementSyntax] {
        var statements: [StatementSyntax] = []
        for argument in call.arguments {
            let word = argument.values[0]
            let (value, mask) = try mark(word)
            let left =
                mask == UInt64(UInt32.max)
                ? read : expression(.binary(.and, read, expression(.number(mask), word)), word)
            statements.append(
                match(
                    left, isNegated: argument.isNegated, expression(.number(value), word),
                    argument.option))
        }
        return statements
    }

    /// The kernel compares 31 random bits with the probability, or counts packets.
    private mutating func statistic(_ call: IptablesCall) throws(Stop) -> StatementSyntax? {
        guard let mode = call.argument("--mode")?.values[0] else {
            throw fail(call.word, expected: "'--mode random' or '--mode nth' behind it")
        }
        let scale: UInt32 = 1 << 31
        switch mode.text {
        case "random":
            guard let argument = call.argument("--probability") else {
                throw fail(mode, expected: "'--probability' with it")
            }
            let word = argument.values[0]
            guard let probability = Double(word.text), probability >= 0, probability <= 1 else {
                throw fail(word, expected: "a probability from 0 to 1")
            }
            let limit = UInt64((probability * Double(scale)).rounded())
            if limit == UInt64(scale), !argument.isNegated { return nil }
            let drawn = expression(
                .numberGenerator(isRandom: true, modulus: scale, offset: 0), word)
            return statement(
                .match(
                    drawn, argument.isNegated ? .greaterOrEqual : .less,
                    expression(.number(min(limit, UInt64(scale) - 1)), word)), argument.option)
        case "nth":
            guard let every = call.argument("--every") else {
                throw fail(mode, expected: "'--every' with it")
            }
            let word = every.values[0]
            let count = try number(word.text, word, atMost: UInt64(UInt32.max), "a count")
            let packet = call.argument("--packet")?.values[0]
            let first = try packet.map { word throws(Stop) in
                try number(word.text, word, atMost: UInt64(UInt32.max), "a packet's number")
            }
            guard count > 0, first ?? 0 < count else {
                throw fail(packet ?? word, expected: "'--packet' below '--every'")
            }
            let counted = expression(
                .numberGenerator(
                    isRandom: false, modulus: UInt32(truncatingIfNeeded: count), offset: 0), word)
            return match(
                counted, isNegated: every.isNegated, expression(.number(first ?? 0), word),
                every.option)
        default: throw fail(mode, expected: "random or nth", near: ["random", "nth"])
        }
    }

    private mutating func limit(_ call: IptablesCall) throws(Stop) -> StatementSyntax {
        var (count, seconds): (UInt64, UInt32) = (3, 3600)
        if let word = call.argument("--limit")?.values[0] {
            let parts = word.text.split(separator: "/", maxSplits: 1)
            let units: [(name: String, seconds: UInt32)] = [
                ("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400),
            ]
            guard let first = parts.first else { throw fail(word, expected: "a rate") }
            count = try number(first, word, atMost: 1_000_000, "a rate")
            seconds = 1
            if parts.count > 1 {
                guard let unit = units.first(where: { $0.name.hasPrefix(parts[1]) }) else {
                    throw fail(
                        word, expected: "a rate such as 5/min: second, minute, hour or day")
                }
                seconds = unit.seconds
            }
            guard count > 0 else { throw fail(word, expected: "a rate above 0") }
        }
        var burst: UInt64 = 5
        if let word = call.argument("--limit-burst")?.values[0] {
            burst = try number(word.text, word, atMost: 10_000, "a burst")
        }
        return statement(
            .limit(
                isOver: false, count: UInt32(truncatingIfNeeded: count), unitSeconds: seconds,
                burst: UInt32(truncatingIfNeeded: burst)), call.word)
    }

    // MARK: Address types

    private mutating func addressTypes(_ call: IptablesCall) throws(Stop) -> [StatementSyntax] {
        var statements: [StatementSyntax] = []
        for argument in call.arguments {
            let word = argument.values[0]
            var elements: [ElementSyntax] = []
            for name in word.text.split(separator: ",") {
                let symbols = Vocabulary.addressTypes
                guard let known = symbols.first(where: { $0.name == name.lowercased() }) else {
                    let names = symbols.map { $0.name.uppercased() }
                    throw fail(
                        word, expected: "address types: \(names.joined(separator: ", "))",
                        near: names)
                }
                elements.append(ElementSyntax(key: expression(.number(known.value), word)))
            }
            let name = argument.name == "--src-type" ? "saddr" : "daddr"
            let selector = name == "saddr" ? Selector.sourceType : Selector.destinationType
            statements.append(
                match(
                    expression(.selector(selector), argument.option),
                    isNegated: argument.isNegated, expression(.set(elements), word),
                    argument.option))
        }
        return statements
    }
}
