/// Splits a sentence into words.
struct ExpressionLexer {
    enum Kind: Hashable {
        /// A number with its unit, as it stands there.
        case quantity
        case name
        case sign
        case end
    }

    struct Token: Hashable {
        var kind: Kind
        var text: String
        var offset: Int
    }

    /// Characters of a sentence at most.
    static let limit = 2000

    static func tokens(of text: String) throws(ExpressionError) -> [Token] {
        let characters = Array(text)
        guard characters.count <= limit else {
            throw ExpressionError(
                offset: limit, found: "\(characters.count) characters", expected: "at most \(limit)"
            )
        }
        var tokens: [Token] = []
        var place = 0
        while place < characters.count {
            let start = place
            let character = characters[place]
            if character.isWhitespace {
                place += 1
                continue
            }
            if isDigit(character) {
                place = endOfQuantity(characters, start)
                tokens.append(
                    .init(kind: .quantity, text: String(characters[start..<place]), offset: start))
            } else if isLetter(character) {
                place = endOfName(characters, start)
                tokens.append(
                    .init(kind: .name, text: String(characters[start..<place]), offset: start))
            } else if let sign = sign(characters, start) {
                place += sign.count
                tokens.append(.init(kind: .sign, text: sign, offset: start))
            } else {
                throw ExpressionError(
                    offset: start, found: "'\(character)'",
                    expected: "a number, a series or a function",
                    suggestion: character == "≤" ? "<=" : character == "≥" ? ">=" : nil)
            }
        }
        tokens.append(.init(kind: .end, text: "", offset: characters.count))
        return tokens
    }

    private static func sign(_ characters: [Character], _ place: Int) -> String? {
        let two = String(characters[place..<min(place + 2, characters.count)])
        if ["<=", ">=", "==", "!=", "~="].contains(two) { return two }
        return "+-*/()<>,=".contains(characters[place]) ? String(characters[place]) : nil
    }

    /// Digits, then a unit: letters, `%`, or `/s` right behind the number or its unit.
    private static func endOfQuantity(_ characters: [Character], _ start: Int) -> Int {
        var place = start
        func at(_ index: Int) -> Character { index < characters.count ? characters[index] : " " }
        while isDigit(at(place)) || isLetter(at(place)) || at(place) == "." || at(place) == "%"
            || at(place) == "µ"
        {
            place += 1
        }
        if at(place) == "/" {
            for unit in ["min", "s", "h"] {
                let end = place + 1 + unit.count
                guard end <= characters.count, String(characters[(place + 1)..<end]) == unit,
                    !isLetter(at(end)), at(end) != ".", at(end) != "("
                else { continue }
                return end
            }
        }
        return place
    }

    private static func endOfName(_ characters: [Character], _ start: Int) -> Int {
        var place = start
        func at(_ index: Int) -> Character { index < characters.count ? characters[index] : " " }
        while true {
            let isInner =
                (at(place) == "-" || at(place) == ".")
                && (isLetter(at(place + 1)) || isDigit(at(place + 1)))
            guard isLetter(at(place)) || isDigit(at(place)) || isInner else { return place }
            place += 1
        }
    }

    private static func isDigit(_ character: Character) -> Bool {
        character.isASCII && character.isNumber
    }

    private static func isLetter(_ character: Character) -> Bool {
        character.isASCII && character.isLetter || character == "_"
    }
}
