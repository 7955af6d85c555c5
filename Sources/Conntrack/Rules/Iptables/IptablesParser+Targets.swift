internal import Wire

// What a rule's target means.

extension IptablesParser {
    mutating func targetStatements(
        _ target: IptablesCall, _ parts: Parts
    ) throws(Stop) -> [StatementSyntax] {
        let word = target.word
        func verdict(_ kind: VerdictSyntax.Kind) -> [StatementSyntax] {
            [statement(.verdict(VerdictSyntax(kind: kind, position: word.position)), word)]
        }
        switch target.module.name {
        case "ACCEPT": return verdict(.accept)
        case "DROP":
            guard table?.name != "nat" else {
                throw fail(word, expected: "a drop in another table: nat chains only translate")
            }
            return verdict(.drop)
        case "RETURN": return verdict(.return)
        case "REJECT": return [try reject(target)]
        case "NOTRACK": return [try notrack(word)]
        case "CT":
            if target.argument("--notrack") != nil { return [try notrack(word)] }
            return [try template(target)]
        case "MARK": return [try setMark(target)]
        case "CONNMARK": return [try setConnectionMark(target)]
        case "LOG": return [try log(target)]
        case "NFLOG":
            var log = RuleLog(prefix: "", group: 0)
            if let group = target.argument("--nflog-group")?.values[0] {
                log.group = UInt16(
                    truncatingIfNeeded: try number(group.text, group, atMost: 65_535, "a group"))
            }
            log.prefix = try prefix(target.argument("--nflog-prefix"), limit: 63)
            return [statement(.log(log), word)]
        default: return [try translation(target)]
        }
    }

    private mutating func notrack(_ word: IptablesWord) throws(Stop) -> StatementSyntax {
        guard table?.name == "raw" else { throw fail(word, expected: "'\(word.text)' in raw only") }
        return statement(.notrack, word)
    }

    /// What a connection made for the packet gets: a zone, a helper.
    private mutating func template(_ target: IptablesCall) throws(Stop) -> StatementSyntax {
        guard table?.name == "raw" else {
            throw fail(target.word, expected: "'CT' in raw only")
        }
        var definition = TemplateDefinition()
        for argument in target.arguments {
            guard let word = argument.values.first else { continue }
            guard argument.name != "--helper" else {
                let names = HelperKind.allCases.map(\.name)
                definition.helper = HelperKind.allCases.first { $0.name == word.text }
                guard definition.helper != nil else {
                    throw fail(
                        word,
                        expected: "a helper that is modelled: \(names.joined(separator: ", "))",
                        near: names)
                }
                continue
            }
            let zone = UInt16(
                truncatingIfNeeded: try number(
                    word.text, word, atMost: 65_535, "a zone (one out of the mark is not supported)"
                ))
            if argument.name != "--zone-reply" { definition.zones.original = zone }
            if argument.name != "--zone-orig" { definition.zones.reply = zone }
        }
        guard !target.arguments.isEmpty else {
            throw fail(
                target.word,
                expected: "'--notrack', '--zone', '--zone-orig', '--zone-reply' or '--helper' "
                    + "behind it")
        }
        return statement(.attachTemplate(definition), target.word)
    }

    // MARK: Reject

    private static let rejects4: [(name: String, code: UInt8)] = [
        ("icmp-net-unreachable", 0), ("net-unreach", 0), ("icmp-host-unreachable", 1),
        ("host-unreach", 1), ("icmp-proto-unreachable", 2), ("proto-unreach", 2),
        ("icmp-port-unreachable", 3), ("port-unreach", 3), ("icmp-net-prohibited", 9),
        ("net-prohib", 9), ("icmp-host-prohibited", 10), ("host-prohib", 10),
        ("icmp-admin-prohibited", 13), ("admin-prohib", 13),
    ]

    private static let rejects6: [(name: String, code: UInt8)] = [
        ("icmp6-no-route", 0), ("no-route", 0), ("icmp6-adm-prohibited", 1),
        ("adm-prohibited", 1), ("icmp6-addr-unreachable", 3), ("addr-unreach", 3),
        ("icmp6-port-unreachable", 4), ("port-unreach", 4), ("icmp6-policy-fail", 5),
        ("policy-fail", 5), ("icmp6-reject-route", 6), ("reject-route", 6),
    ]

    private mutating func reject(_ target: IptablesCall) throws(Stop) -> StatementSyntax {
        guard table?.name == "filter" else {
            throw fail(target.word, expected: "'REJECT' in the table filter only")
        }
        guard let word = target.argument("--reject-with")?.values[0] else {
            return statement(.reject(.standard), target.word)
        }
        if word.text == "tcp-reset" { return statement(.reject(.tcpReset), target.word) }
        let kinds = family == .ipv4 ? Self.rejects4 : Self.rejects6
        guard let kind = kinds.first(where: { $0.name == word.text }) else {
            let names = kinds.map(\.name) + ["tcp-reset"]
            throw fail(word, expected: "one of \(names.joined(separator: ", "))", near: names)
        }
        return statement(
            .reject(family == .ipv4 ? .icmp(kind.code) : .icmpv6(kind.code)), target.word)
    }

    // MARK: Marks

    /// What a mark becomes: `(mark & keep) ^ flip`.
    private mutating func change(
        _ target: IptablesCall
    ) throws(Stop) -> (keep: UInt64, flip: UInt64)? {
        let all = UInt64(UInt32.max)
        for argument in target.arguments {
            guard let word = argument.values.first else { continue }
            let (value, mask) = try mark(word)
            switch argument.name {
            case "--set-mark": return (all & ~(value | mask), value)
            case "--set-xmark": return (all & ~mask, value)
            case "--and-mark": return (value, 0)
            case "--or-mark": return (all & ~value, value)
            case "--xor-mark": return (all, value)
            default: continue
            }
        }
        return nil
    }

    private func changed(
        _ read: Expression, _ change: (keep: UInt64, flip: UInt64), _ word: IptablesWord
    ) -> Expression {
        guard change.keep != 0 else { return expression(.number(change.flip), word) }
        let kept = expression(.binary(.and, read, expression(.number(change.keep), word)), word)
        guard change.flip != 0 else { return kept }
        return expression(.binary(.xor, kept, expression(.number(change.flip), word)), word)
    }

    private mutating func setMark(_ target: IptablesCall) throws(Stop) -> StatementSyntax {
        guard let change = try change(target) else {
            throw fail(target.word, expected: "'--set-xmark' or another change behind it")
        }
        let read = field("meta", "mark", target.word)
        return statement(.setPacketMark(changed(read, change, target.word)), target.word)
    }

    private mutating func setConnectionMark(
        _ target: IptablesCall
    ) throws(Stop) -> StatementSyntax {
        let word = target.word
        let connectionMark = connectionField(Selector.connectionKeys, "mark", word)
        if let change = try change(target) {
            return statement(.setConnectionMark(changed(connectionMark, change, word)), word)
        }
        let saves = target.argument("--save-mark") != nil
        guard saves || target.argument("--restore-mark") != nil else {
            throw fail(
                word, expected: "'--set-xmark', '--save-mark' or '--restore-mark' behind it")
        }
        let all = UInt64(UInt32.max)
        var (packetMask, connectionMask) = (all, all)
        for argument in target.arguments {
            guard let value = argument.values.first else { continue }
            let mask = try number(value.text, value, atMost: all, "a mask")
            if argument.name != "--ctmask" { packetMask = mask }
            if argument.name != "--nfmask" { connectionMask = mask }
        }
        let packetMark = field("meta", "mark", word)
        let copy =
            saves
            ? MarkCopySyntax(
                toConnection: true, from: packetMark, fromMask: packetMask, to: connectionMark,
                clears: connectionMask)
            : MarkCopySyntax(
                toConnection: false, from: connectionMark, fromMask: connectionMask,
                to: packetMark, clears: packetMask)
        return statement(.copyMark(copy), word)
    }

    // MARK: Log

    private static let details: [(option: String, detail: PacketDump.Details)] = [
        ("--log-tcp-sequence", .tcpSequence), ("--log-tcp-options", .tcpOptions),
        ("--log-ip-options", .ipOptions),
    ]

    private mutating func log(_ target: IptablesCall) throws(Stop) -> StatementSyntax {
        var log = RuleLog(prefix: try prefix(target.argument("--log-prefix"), limit: 29))
        if let word = target.argument("--log-level")?.values[0] {
            let levels = RuleLog.Level.allCases
            let names = levels.map(\.rawValue)
            let spelled = ["warning": "warn", "error": "err", "panic": "emerg"][word.text]
            if let number = Int(word.text), levels.indices.contains(number) {
                log.level = levels[number]
            } else if let level = RuleLog.Level(rawValue: spelled ?? word.text) {
                log.level = level
            } else {
                throw fail(
                    word, expected: "a level: 0 to 7, \(names.joined(separator: ", "))",
                    near: names)
            }
        }
        for known in Self.details where target.argument(known.option) != nil {
            log.details.insert(known.detail)
        }
        return statement(.log(log), target.word)
    }

    private mutating func prefix(
        _ argument: IptablesArgument?, limit: Int
    ) throws(Stop) -> String {
        guard let word = argument?.values[0] else { return "" }
        guard word.text.utf8.count <= limit else {
            throw fail(word, expected: "a prefix of at most \(limit) bytes")
        }
        return word.text
    }

    // MARK: Translation

    private mutating func translation(_ target: IptablesCall) throws(Stop) -> StatementSyntax {
        guard table?.name == "nat" else {
            throw fail(target.word, expected: "'\(target.word.text)' in the table nat only")
        }
        let kinds: [String: TranslationSyntax.Kind] = [
            "DNAT": .destination, "SNAT": .source, "MASQUERADE": .masquerade,
            "REDIRECT": .redirect,
        ]
        var syntax = TranslationSyntax(kind: kinds[target.module.name] ?? .destination)
        for argument in target.arguments {
            switch argument.name {
            case "--to-destination", "--to-source":
                try self.target(argument.values[0], &syntax)
            case "--to-ports": try targetPorts(argument.values[0].text, argument.values[0], &syntax)
            case "--persistent": syntax.flags.insert(.persistent)
            default: syntax.flags.insert(.random)
            }
        }
        let needsTarget = syntax.kind == .destination || syntax.kind == .source
        guard !needsTarget || syntax.address != nil || syntax.port != nil else {
            throw fail(
                target.word,
                expected: syntax.kind == .source
                    ? "'--to-source' behind it" : "'--to-destination' behind it")
        }
        return statement(.translate(syntax), target.word)
    }

    /// `10.0.0.1`, `10.0.0.1-10.0.0.9:80-90`, `:8080`, `[fd00::1]:80`.
    private mutating func target(
        _ word: IptablesWord, _ syntax: inout TranslationSyntax
    ) throws(Stop) {
        var addresses = word.text[...]
        var ports: Substring?
        if family == .ipv4 {
            if let colon = addresses.firstIndex(of: ":") {
                ports = addresses[addresses.index(after: colon)...]
                addresses = addresses[..<colon]
            }
        } else if addresses.first == "[", let end = addresses.firstIndex(of: "]") {
            let rest = addresses[addresses.index(after: end)...]
            addresses = addresses[..<end].dropFirst()
            if rest.first == ":" { ports = rest.dropFirst() }
        }
        if !addresses.isEmpty {
            let ends = addresses.split(separator: "-", maxSplits: 1)
            var parsed: [Expression] = []
            for end in ends {
                guard let (found, address) = Address.parse(end), found == family else {
                    throw fail(
                        word, expected: "an address, a range of addresses, with ports behind ':'")
                }
                parsed.append(expression(.address(family, address), word))
            }
            syntax.address =
                parsed.count > 1 ? expression(.range(parsed[0], parsed[1]), word) : parsed.first
        }
        if let ports { try targetPorts(ports, word, &syntax) }
    }

    /// `80`, `8000-8080`, `5000-5010/80`: the last one is shifted by the distance from port 80.
    private mutating func targetPorts(
        _ text: some StringProtocol, _ word: IptablesWord, _ syntax: inout TranslationSyntax
    ) throws(Stop) {
        let halves = text.split(separator: "/", maxSplits: 1)
        guard let range = halves.first else { throw fail(word, expected: "a port") }
        if halves.count > 1 { syntax.basePort = UInt16(try port(halves[1], word)) }
        let ends = range.split(separator: "-", maxSplits: 1)
        guard let first = ends.first, let last = ends.last else {
            throw fail(word, expected: "a port or a range of ports")
        }
        let (low, high) = (try port(first, word), try port(last, word))
        guard low <= high else {
            throw fail(word, expected: "a range that does not begin behind its end")
        }
        let ports = (expression(.number(low), word), expression(.number(high), word))
        syntax.port = low == high ? ports.0 : expression(.range(ports.0, ports.1), word)
    }
}
