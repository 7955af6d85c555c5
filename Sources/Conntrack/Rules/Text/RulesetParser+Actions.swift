internal import Wire

// Statements that act on a packet: counter, limit, log, reject.

extension RulesetParser {
    mutating func counter() throws(Stop) -> StatementSyntax.Kind {
        advance()
        if take(word: "packets") {
            let packets = try number(0...UInt64.max, "a packet count")
            try expect(word: "bytes")
            return .counter(packets: packets, bytes: try number(0...UInt64.max, "a byte count"))
        }
        if isWord("name") {
            throw fail(
                expected: "'packets N bytes N', or nothing: named counters are not supported")
        }
        return .counter(packets: 0, bytes: 0)
    }

    mutating func limit() throws(Stop) -> StatementSyntax.Kind {
        advance()
        if isWord("name") {
            throw fail(expected: "'rate': named limits are not supported")
        }
        try expect(word: "rate")
        let isOver = take(word: "over")
        let count = UInt32(try number(1...UInt64(UInt32.max), "a rate"))
        guard take(sign: "/") else {
            throw fail(expected: "'/' and a unit of time: rates in bytes are not supported")
        }
        let units: [(name: String, seconds: UInt32)] = [
            ("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400), ("week", 604_800),
        ]
        guard let unit = units.first(where: { isWord($0.name) }) else {
            let names = units.map(\.name)
            throw fail(expected: "one of \(names.joined(separator: ", "))", near: names)
        }
        advance()
        var burst: UInt32 = 5
        if take(word: "burst") {
            burst = UInt32(try number(1...UInt64(UInt32.max), "a burst"))
            guard take(word: "packets") else {
                throw fail(expected: "'packets': bursts in bytes are not supported")
            }
        }
        return .limit(isOver: isOver, count: count, unitSeconds: unit.seconds, burst: burst)
    }

    mutating func log() throws(Stop) -> StatementSyntax.Kind {
        let start = current
        advance()
        var log = RuleLog(prefix: "")
        var seen: Set<String> = []
        let options = ["prefix", "level", "group", "snaplen", "queue-threshold", "flags"]
        while current.kind == .word, options.contains(current.text) {
            let option = current
            seen.insert(option.text)
            advance()
            switch option.text {
            case "prefix":
                guard !current.text.utf8.contains(UInt8(ascii: "$")) else {
                    throw fail(expected: "a prefix without '$': defines are not filled in here")
                }
                log.prefix = try quotedText("a prefix", limit: RuleLog.prefixByteCount)
            case "level":
                guard let level = RuleLog.Level(rawValue: current.text), current.kind == .word
                else {
                    let names = RuleLog.Level.allCases.map(\.rawValue)
                    let hint = isWord("audit") ? ": audit records are not written" : ""
                    throw fail(
                        expected: "one of \(names.joined(separator: ", "))\(hint)", near: names)
                }
                advance()
                log.level = level
            case "group": log.group = UInt16(try number(0...65_535, "a group"))
            case "flags": try logFlags(&log.details)
            default: _ = try number(0...UInt64(UInt32.max), "a number")
            }
        }
        if seen.contains("group"), seen.contains("level") || seen.contains("flags") {
            throw fail(at: start, expected: "'group' without 'level' and 'flags'")
        }
        return .log(log)
    }

    /// What a log line shows besides.
    private mutating func logFlags(_ details: inout PacketDump.Details) throws(Stop) {
        let flags = ["all", "skuid", "ether", "tcp", "ip"]
        guard current.kind == .word, flags.contains(current.text) else {
            throw fail(expected: "one of \(flags.joined(separator: ", "))", near: flags)
        }
        let flag = current.text
        advance()
        let parts: [(name: String, detail: PacketDump.Details)]
        switch flag {
        case "all":
            details = .all
            return
        case "tcp": parts = [("sequence", .tcpSequence), ("options", .tcpOptions)]
        case "ip": parts = [("options", .ipOptions)]
        default: return
        }
        repeat {
            guard current.kind == .word,
                let part = parts.first(where: { $0.name == current.text })
            else {
                let names = parts.map(\.name)
                throw fail(expected: "one of \(names.joined(separator: ", "))", near: names)
            }
            details.insert(part.detail)
            advance()
        } while take(sign: ",")
    }

    mutating func reject() throws(Stop) -> StatementSyntax.Kind {
        advance()
        guard take(word: "with") else { return .reject(.standard) }
        if take(word: "tcp") {
            try expect(word: "reset")
            return .reject(.tcpReset)
        }
        let kinds = ["icmp", "icmpv6", "icmpx"]
        guard current.kind == .word, let kind = kinds.first(where: isWord) else {
            throw fail(expected: "tcp reset, icmp, icmpv6 or icmpx", near: kinds + ["tcp"])
        }
        advance()
        _ = take(word: "type")
        let (symbols, maximum): (Vocabulary.Symbols, UInt64) =
            switch kind {
            case "icmp": (Vocabulary.icmpCodes, 255)
            case "icmpv6": (Vocabulary.icmpv6Codes, 255)
            default: (Vocabulary.icmpxCodes, 3)
            }
        let code = UInt8(try symbolOrNumber(symbols, maximum: maximum))
        return switch kind {
        case "icmp": .reject(.icmp(code))
        case "icmpv6": .reject(.icmpv6(code))
        default: .reject(.icmpx(code))
        }
    }

    private mutating func symbolOrNumber(
        _ symbols: Vocabulary.Symbols, maximum: UInt64
    ) throws(Stop) -> UInt64 {
        if case .number(let value) = current.kind, value <= maximum {
            advance()
            return value
        }
        if current.kind == .word, let symbol = symbols.first(where: { isWord($0.name) }) {
            advance()
            return symbol.value
        }
        let names = symbols.map(\.name)
        throw fail(
            expected: "one of \(names.joined(separator: ", ")), or a number up to \(maximum)",
            near: names)
    }
}
