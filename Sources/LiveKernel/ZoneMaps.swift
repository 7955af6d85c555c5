// `ct zone set iifname map { "lan" : 3, "wan" : 4 }` in the words of two rules, which say the same:
//
//     iifname { "lan" } ct zone set 3
//     iifname { "wan" } ct zone set 4

enum ZoneMaps {
    /// The ruleset, with each rule that takes a zone out of a map spread out over the map's elements.
    static func spreadOut(_ ruleset: String) -> String {
        var text = ruleset
        var searched = text.startIndex
        while let place = ZoneMap.next(in: text, from: searched) {
            let rules = place.isRepeatable ? place.rules : nil
            let distance = text.distance(from: text.startIndex, to: place.rule.lowerBound)
            let old = String(text[place.rule])
            let new = rules?.joined(separator: "\n") ?? old
            text.replaceSubrange(place.rule, with: new)
            searched = text.index(text.startIndex, offsetBy: distance + new.count)
        }
        return text
    }
}

/// A rule that takes a zone out of a map.
private struct ZoneMap {
    /// The rule, from its first word to its last.
    let rule: Range<String.Index>
    /// What stands before `ct zone set`, and what those words themselves are.
    private let conditions: Substring
    private let setting: Substring
    private let key: Substring
    private let elements: Substring
    private let rest: Substring

    /// The first such rule in the text behind `start`.
    static func next(in text: String, from start: String.Index) -> ZoneMap? {
        var start = start
        while let words = text[start...].firstRange(of: /ct\s+((original|reply)\s+)?zone\s+set\s/) {
            if let map = ZoneMap(in: text, setBy: words) { return map }
            start = words.upperBound
        }
        return nil
    }

    private init?(in text: String, setBy words: Range<String.Index>) {
        let behind = text[words.upperBound...]
        guard let map = behind.prefixMatch(of: /([^;{}\n#]*?)\bmap\s*\{([^{}]*)\}/) else {
            return nil
        }
        let begin = Self.beginning(of: text[..<words.lowerBound])
        let end = Self.end(of: text[map.range.upperBound...])
        rule = begin..<end
        conditions = text[begin..<words.lowerBound]
        setting = text[words]
        key = map.1
        elements = map.2
        rest = text[map.range.upperBound..<end]
    }

    /// Where the rule begins whose words end the text: behind a line's end, a `;`, or the brace of
    /// its chain.
    private static func beginning(of text: Substring) -> String.Index {
        var depth = 0
        for index in text.indices.reversed() {
            switch text[index] {
            case "\n" where depth == 0, ";" where depth == 0: return text.index(after: index)
            case "}": depth += 1
            case "{" where depth == 0: return text.index(after: index)
            case "{": depth -= 1
            default: break
            }
        }
        return text.startIndex
    }

    private static func end(of text: Substring) -> String.Index {
        var depth = 0
        for index in text.indices {
            switch text[index] {
            case "\n" where depth == 0, ";" where depth == 0, "#" where depth == 0,
                "}" where depth == 0:
                return index
            case "{": depth += 1
            case "}": depth -= 1
            default: break
            }
        }
        return text.endIndex
    }

    /// Whether asking what stands before the map several times is like asking it once.
    var isRepeatable: Bool {
        let words = (conditions + key).split { !$0.isLetter }
        return !words.contains {
            ["set", "limit", "quota", "numgen", "update", "add", "log", "count"].contains($0)
        }
    }

    /// A rule an element; `nil` where an element cannot be read.
    var rules: [String]? {
        var rules: [String] = []
        for element in elements.split(separator: ",") {
            guard let colon = element.lastIndex(of: ":") else {
                if element.allSatisfy(\.isWhitespace) { continue }
                return nil
            }
            let value = element[element.index(after: colon)...].filter { !$0.isWhitespace }
            rules.append(
                "\(conditions)\(key){\(element[..<colon])} \(setting)\(value) \(rest)")
        }
        return rules.isEmpty ? nil : rules
    }
}
