internal import Wire

// `snat`, `dnat`, `masquerade`, `redirect`: spec nat.md §2, rule kinds and their ranges.

extension RulesetParser {
    mutating func translation() throws(Stop) -> TranslationSyntax {
        let kinds: [(word: String, kind: TranslationSyntax.Kind)] = [
            ("snat", .source), ("dnat", .destination), ("masquerade", .masquerade),
            ("redirect", .redirect),
        ]
        guard let kind = kinds.first(where: { isWord($0.word) })?.kind else {
            throw fail(expected: "a nat statement")
        }
        advance()
        var translation = TranslationSyntax(kind: kind)
        switch kind {
        case .source, .destination:
            try targetFamily(&translation)
            try expect(word: "to")
            try target(&translation)
        case .masquerade:
            if take(word: "to") {
                try expect(sign: ":")
                translation.port = try portPart()
            }
        case .redirect:
            if take(word: "to") {
                _ = take(sign: ":")
                translation.port = try portPart()
            }
        }
        translation.flags = try translationFlags()
        return translation
    }

    private mutating func targetFamily(_ translation: inout TranslationSyntax) throws(Stop) {
        if take(word: "ip") {
            translation.family = .ipv4
        } else if take(word: "ip6") {
            translation.family = .ipv6
        }
        if isWord("prefix") || isWord("interval") {
            throw fail(expected: "'to': mappings of whole prefixes and intervals are not supported")
        }
        if take(word: "addr") {
            try expect(sign: ".")
            try expect(word: "port")
            translation.wantsPort = true
        }
    }

    private mutating func target(_ translation: inout TranslationSyntax) throws(Stop) {
        if translation.family == nil, take(sign: ":") {
            translation.port = try portPart()
            return
        }
        let start = current
        if isSign("[") {
            let low = try bracketedAddress()
            translation.address = low
            if take(sign: "-") {
                let high = try bracketedAddress()
                translation.address = expression(.range(low, high), from: start)
            }
        } else if current.kind == .word, Self.matchWords.contains(current.text) {
            translation.address = try leftSide()
        } else {
            translation.address = try rangeOrValue()
        }
        if take(sign: ":") { translation.port = try portPart() }
    }

    private mutating func bracketedAddress() throws(Stop) -> Expression {
        let open = current.bytes.upperBound
        try expect(sign: "[")
        let token = current
        guard case .address(.ipv6, let address) = token.kind, token.bytes.lowerBound == open else {
            throw fail(expected: "an IPv6 address right behind '['")
        }
        advance()
        guard current.bytes.lowerBound == token.bytes.upperBound else {
            throw fail(expected: "']' right behind the address")
        }
        try expect(sign: "]")
        return expression(.address(.ipv6, address), from: token)
    }

    private mutating func portPart() throws(Stop) -> Expression {
        if current.kind == .word, Self.matchWords.contains(current.text) {
            return try leftSide()
        }
        return try rangeOrValue()
    }

    private mutating func translationFlags() throws(Stop) -> NATRange.Flags {
        let words: [(word: String, flag: NATRange.Flags)] = [
            ("random", .random), ("fully-random", .random), ("persistent", .persistent),
        ]
        var flags: NATRange.Flags = []
        guard current.kind == .word, words.contains(where: { isWord($0.word) }) else {
            return flags
        }
        repeat {
            guard let found = words.first(where: { isWord($0.word) }) else {
                let names = words.map(\.word)
                throw fail(expected: "one of \(names.joined(separator: ", "))", near: names)
            }
            advance()
            flags.insert(found.flag)
        } while take(sign: ",")
        return flags
    }
}
