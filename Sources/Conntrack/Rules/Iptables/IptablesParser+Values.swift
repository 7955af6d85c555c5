internal import Wire

// Words as values: addresses with masks, ports, marks; and the pieces of syntax they become.

extension IptablesParser {
    // MARK: Syntax

    func expression(_ kind: Expression.Kind, _ word: IptablesWord) -> Expression {
        Expression(kind: kind, position: word.position, text: word.text)
    }

    /// The field that nftables text calls `head key`.
    func field(_ head: String, _ key: String, _ word: IptablesWord) -> Expression {
        let found = Selector.keys(after: head)?.first { $0.key == key }
        guard let found else { preconditionFailure("no field is called \(head) \(key)") }
        return expression(.selector(found.selector), word)
    }

    /// A key of `ct`, or of `ct original` or `ct reply`.
    func connectionField(
        _ keys: [(key: String, selector: Selector)], _ key: String, _ word: IptablesWord
    ) -> Expression {
        let found = keys.first { $0.key == key }
        guard let found else { preconditionFailure("no field is called ct \(key)") }
        return expression(.selector(found.selector), word)
    }

    func statement(_ kind: StatementSyntax.Kind, _ word: IptablesWord) -> StatementSyntax {
        StatementSyntax(kind: kind, position: word.position, text: word.text)
    }

    func match(
        _ left: Expression, isNegated: Bool, _ right: Expression, _ word: IptablesWord
    ) -> StatementSyntax {
        statement(.match(left, isNegated ? .notEqual : .equal, right), word)
    }

    // MARK: Numbers

    mutating func number(
        _ text: some StringProtocol, _ word: IptablesWord, atMost maximum: UInt64, _ what: String
    ) throws(Stop) -> UInt64 {
        let isHex = text.hasPrefix("0x") || text.hasPrefix("0X")
        let value = isHex ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
        guard let value, value <= maximum else {
            throw fail(word, expected: "\(what), a number from 0 to \(maximum)")
        }
        return value
    }

    /// `0x4000/0x4000`; all bits where no mask is written.
    mutating func mark(_ word: IptablesWord) throws(Stop) -> (value: UInt64, mask: UInt64) {
        let parts = word.text.split(separator: "/", maxSplits: 1)
        guard let first = parts.first else { throw fail(word, expected: "a mark") }
        let all = UInt64(UInt32.max)
        let value = try number(first, word, atMost: all, "a mark")
        guard parts.count > 1 else { return (value, all) }
        return (value, try number(parts[1], word, atMost: all, "a mask"))
    }

    mutating func port(_ text: some StringProtocol, _ word: IptablesWord) throws(Stop) -> UInt64 {
        if let service = Vocabulary.services.first(where: { $0.name == text }) {
            return service.value
        }
        return try number(text, word, atMost: 65_535, "a port")
    }

    /// `80`, `1024:65535`, `:1023`, `1024:`.
    mutating func ports(
        _ text: some StringProtocol, _ word: IptablesWord
    ) throws(Stop) -> Expression {
        guard let colon = text.firstIndex(of: ":") else {
            return expression(.number(try port(text, word)), word)
        }
        let (low, high) = (text[..<colon], text[text.index(after: colon)...])
        let first = low.isEmpty ? 0 : try port(low, word)
        let last = high.isEmpty ? 65_535 : try port(high, word)
        guard first <= last else {
            throw fail(word, expected: "a range that does not begin behind its end")
        }
        return expression(
            .range(expression(.number(first), word), expression(.number(last), word)), word)
    }

    // MARK: Addresses

    /// What an address is compared with: the address with a mask where it takes one, or `nil`
    /// where every address matches.
    mutating func addressMatch(
        _ field: Expression, isNegated: Bool, _ word: IptablesWord
    ) throws(Stop) -> StatementSyntax? {
        let parts = word.text.split(separator: "/", maxSplits: 1)
        guard let first = parts.first, let (found, address) = Address.parse(first),
            found == family
        else {
            let other = family == .ipv4 ? "IPv4" : "IPv6"
            throw fail(word, expected: "an \(other) address, with '/' and a length or mask behind")
        }
        let value = expression(.address(family, address), word)
        guard parts.count > 1 else { return match(field, isNegated: isNegated, value, word) }
        if let length = Int(parts[1]) {
            guard length <= family.addressBits else {
                throw fail(word, expected: "a prefix length of at most \(family.addressBits)")
            }
            if length == 0, !isNegated { return nil }
            if length == family.addressBits {
                return match(field, isNegated: isNegated, value, word)
            }
            return match(
                field, isNegated: isNegated, expression(.prefix(value, length), word), word)
        }
        guard let (maskFamily, mask) = Address.parse(parts[1]), maskFamily == family else {
            throw fail(word, expected: "a prefix length or a mask behind '/'")
        }
        let masked = expression(
            .binary(.and, field, expression(.address(family, mask), word)), word)
        let wanted = expression(.address(family, address.masked(by: mask)), word)
        return match(masked, isNegated: isNegated, wanted, word)
    }

    /// An interface name, where `+` at the end stands for anything.
    mutating func interfaceMatch(
        _ key: String, isNegated: Bool, _ word: IptablesWord
    ) throws(Stop) -> StatementSyntax? {
        guard word.text != "+" || isNegated else { return nil }
        var name = word.text
        if name.hasSuffix("+") { name = name.dropLast() + "*" }
        let value = Expression(
            kind: .word(name), position: word.position, text: "\"\(word.text)\"")
        return match(field("meta", key, word), isNegated: isNegated, value, word)
    }

    /// The protocol's number; `nil` for all of them.
    mutating func transport(_ word: IptablesWord) throws(Stop) -> UInt64? {
        if word.text == "all" || word.text == "0" { return nil }
        let name = word.text.lowercased()
        if let known = Vocabulary.protocols.first(where: { $0.name == name }) {
            return known.value
        }
        guard let value = UInt64(name), value <= 255 else {
            throw fail(
                word, expected: "a protocol's name or number",
                near: ["tcp", "udp", "icmp", "sctp", "udplite", "icmpv6", "all"])
        }
        return value
    }
}
