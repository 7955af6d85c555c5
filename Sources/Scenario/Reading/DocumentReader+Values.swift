import Conntrack
import Wire
import Yams

// Values of a file: each function returns what it read, or reports what is wrong and returns `nil`.

extension DocumentReader {
    /// The pairs of a mapping whose keys are known, in the order of the file.
    ///
    /// Unknown and missing keys are reported. Nothing at all (`gw:`) is an empty mapping.
    mutating func pairs<Key: SchemaKey>(
        _ node: YAMLNode, _: Key.Type, owner: YAMLNode? = nil
    ) -> [(key: Key, value: YAMLNode)] {
        guard let mapping = mapping(node, expected: "\(Key.noun), as 'key: value'") else {
            return []
        }
        var pairs: [(key: Key, value: YAMLNode)] = []
        for (keyNode, value) in mapping {
            if let key = keyNode.string.flatMap(Key.init(rawValue:)) {
                pairs.append((key, value))
            } else if !(Key.allowsExtensions && keyNode.string?.hasPrefix("x-") == true) {
                let near = keyNode.string.flatMap { Self.nearest($0, in: Key.words) }
                let all = near == nil ? " (\(Key.words.joined(separator: ", ")))" : ""
                report(
                    keyNode, found: Self.shown(keyNode), expected: "a key of \(Key.noun)\(all)",
                    suggestion: near)
            }
        }
        for key in Key.allCases where key.isRequired && !pairs.contains(where: { $0.key == key }) {
            // A slip in the key is one mistake, not two.
            let isSlip = mapping.keys.contains {
                guard let word = $0.string, Key(rawValue: word) == nil else { return false }
                return Self.nearest(word, in: Key.words) == key.rawValue
            }
            if isSlip { continue }
            report(
                owner ?? node, found: "\(Key.noun) without '\(key.rawValue)'",
                expected: "'\(key.rawValue): …' (\(key.summary.dropLast()))")
        }
        return pairs
    }

    /// A mapping with names of the author's choice.
    mutating func mapping(_ node: YAMLNode, expected: String) -> YAMLNode.Mapping? {
        if case .scalar(let scalar) = node, ["", "~", "null"].contains(scalar.string) {
            return YAMLNode.Mapping([], .implicit, .any, scalar.mark)
        }
        guard case .mapping(let mapping) = node else {
            report(node, found: Self.shown(node), expected: expected)
            return nil
        }
        return mapping
    }

    mutating func elements(_ node: YAMLNode, expected: String, limit: Int) -> [YAMLNode] {
        if case .scalar(let scalar) = node, scalar.string.isEmpty { return [] }
        guard case .sequence(let sequence) = node else {
            report(node, found: Self.shown(node), expected: expected)
            return []
        }
        guard sequence.count <= limit else {
            report(node, found: "a list of \(sequence.count)", expected: "at most \(limit)")
            return []
        }
        return Array(sequence)
    }

    /// A list, or one element alone.
    mutating func oneOrMany(_ node: YAMLNode, expected: String, limit: Int) -> [YAMLNode] {
        if case .scalar(let scalar) = node, !scalar.string.isEmpty { return [node] }
        if case .mapping = node { return [node] }
        return elements(node, expected: expected, limit: limit)
    }

    mutating func text(_ node: YAMLNode, expected: String) -> String? {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            report(node, found: Self.shown(node), expected: expected)
            return nil
        }
        return scalar.string
    }

    mutating func integer(_ node: YAMLNode, _ range: ClosedRange<Int>) -> Int? {
        let digits = node.scalar?.string.filter { $0 != "_" }
        guard let value = digits.flatMap({ Int($0) }), range.contains(value) else {
            report(
                node, found: Self.shown(node),
                expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return value
    }

    mutating func boolean(_ node: YAMLNode) -> Bool? {
        switch node.scalar?.string {
        case "true": return true
        case "false": return false
        case let word:
            let slips = ["yes": "true", "on": "true", "no": "false", "off": "false"]
            report(
                node, found: Self.shown(node), expected: "true or false",
                suggestion: word.flatMap { slips[$0.lowercased()] })
            return nil
        }
    }

    mutating func word<Word: CaseIterable & RawRepresentable>(
        _ node: YAMLNode, _: Word.Type
    ) -> Word? where Word.RawValue == String {
        let words = Word.allCases.map(\.rawValue)
        guard let word = self.word(node, of: words) else { return nil }
        return Word(rawValue: word)
    }

    mutating func word(_ node: YAMLNode, of words: [String]) -> String? {
        guard let word = node.scalar?.string, words.contains(word) else {
            report(
                node, found: Self.shown(node), expected: "one of \(words.joined(separator: ", "))",
                suggestion: node.scalar.flatMap { Self.nearest($0.string, in: words) })
            return nil
        }
        return word
    }

    mutating func quantity(_ node: YAMLNode, _ quantity: Quantity) -> Double? {
        guard case .scalar(let scalar) = node else {
            report(node, found: Self.shown(node), expected: quantity.wanted)
            return nil
        }
        do {
            return try quantity.parse(scalar.string)
        } catch {
            report(node, error)
            return nil
        }
    }

    /// More than nothing.
    mutating func positive(_ node: YAMLNode, _ quantity: Quantity) -> Double? {
        guard let value = self.quantity(node, quantity) else { return nil }
        guard value > 0 else {
            report(node, found: Self.shown(node), expected: "more than 0")
            return nil
        }
        return value
    }

    mutating func interval(_ node: YAMLNode) -> Interval? {
        quantity(node, .duration).map { Interval(nanoseconds: Int64($0)) }
    }

    mutating func positiveInterval(_ node: YAMLNode) -> Interval? {
        positive(node, .duration).map { Interval(nanoseconds: max(1, Int64($0))) }
    }

    mutating func distribution(
        _ node: YAMLNode, _ quantity: Quantity
    ) -> Scenario.Distribution? {
        guard case .scalar(let scalar) = node else {
            report(node, found: Self.shown(node), expected: quantity.wanted)
            return nil
        }
        do {
            return try DistributionText.parse(scalar.string, of: quantity)
        } catch {
            report(node, error)
            return nil
        }
    }

    /// `200/s`, or `200/s..4000/s`.
    mutating func ramp(_ node: YAMLNode, _ quantity: Quantity) -> (from: Double, to: Double)? {
        guard case .scalar(let scalar) = node else {
            report(node, found: Self.shown(node), expected: quantity.wanted)
            return nil
        }
        do {
            if let (from, to) = try DistributionText.range(scalar.string, of: quantity) {
                return (from, to)
            }
            let value = try quantity.parse(scalar.string)
            return (value, value)
        } catch {
            report(node, error)
            return nil
        }
    }

    /// `443`, or `1024-65535`.
    mutating func ports(_ node: YAMLNode) -> ClosedRange<UInt16>? {
        guard let range = node.scalar.flatMap({ Ports.parse($0.string[...]) }) else {
            report(
                node, found: Self.shown(node),
                expected: "a port from 1 to 65535, or a range as 1024-65535")
            return nil
        }
        return range
    }

    /// `443/tcp`.
    mutating func portAndTransport(
        _ node: YAMLNode
    ) -> (ports: ClosedRange<UInt16>, transport: Scenario.Transport)? {
        let text = node.scalar?.string ?? ""
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, let ports = Ports.parse(first) else {
            report(
                node, found: Self.shown(node), expected: "a port with its protocol, as 443/tcp")
            return nil
        }
        guard parts.count == 2, let transport = Scenario.Transport(rawValue: String(parts[1])),
            transport != .icmp
        else {
            let words = ["tcp", "udp"]
            let slip = parts.count == 2 ? Self.nearest(String(parts[1]), in: words) : "tcp"
            report(
                node, found: Self.shown(node), expected: "a port with its protocol, tcp or udp",
                suggestion: slip.map { "\(first)/\($0)" })
            return nil
        }
        return (ports, transport)
    }

    /// A network without bits behind its prefix, or one address.
    mutating func network(_ node: YAMLNode) -> Prefix? {
        let text = node.scalar?.string ?? ""
        if let (family, address) = Address.parse(text) {
            return Prefix(family, address, length: family.addressBits)
        }
        guard let (family, address, length) = Address.parsePrefix(text) else {
            report(
                node, found: Self.shown(node), expected: "a network, as 198.18.0.0/24")
            return nil
        }
        let base = address.masked(by: Address.mask(prefix: length, family))
        guard base == address else {
            report(
                node, found: Self.shown(node),
                expected: "a network, without bits behind its prefix",
                suggestion: "\(base.text(family))/\(length)")
            return nil
        }
        return Prefix(family, address, length: length)
    }

    /// `10.0.0.1`, `10.0.0.1/24` (one address) or `10.0.0.0/24` (all of them).
    mutating func pool(_ node: YAMLNode) -> Scenario.AddressPool? {
        let text = node.scalar?.string ?? ""
        if let (family, address) = Address.parse(text) {
            return .init(family, address, prefixLength: family.addressBits)
        }
        guard let (family, address, length) = Address.parsePrefix(text) else {
            report(
                node, found: Self.shown(node),
                expected: "an address or network, as 10.0.0.1, 10.0.0.1/24 or 198.18.0.0/24")
            return nil
        }
        let base = address.masked(by: Address.mask(prefix: length, family))
        guard base == address else { return .init(family, address, prefixLength: length) }
        let bits = family.addressBits - length
        // Of a network beyond any need the first so many are used.
        let count = bits >= 24 ? ScenarioLimits.addressesPerPool : 1 << bits
        return .init(family, address, count: count, prefixLength: length)
    }
}

/// Port numbers and ranges.
enum Ports {
    static func parse(_ text: Substring) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(one)
        guard let low = ends.first ?? nil, let high = ends.last ?? nil, ends.count <= 2,
            low <= high
        else { return nil }
        return low...high
    }

    private static func one(_ text: Substring) -> UInt16? {
        guard text.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(text), port > 0
        else { return nil }
        return port
    }
}
