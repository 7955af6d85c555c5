// One line of `iptables-save` output to words, as a shell would cut it: blanks separate, double
// quotes keep together, a backslash keeps the character behind it.

struct IptablesWord: Sendable {
    /// Without quotes and backslashes.
    var text: String
    var isQuoted: Bool
    var position: SourcePosition

    /// How a message names the word.
    var quotedText: String { isQuoted ? "\"\(text)\"" : "'\(text)'" }
}

enum IptablesWords {
    /// The words of a line; `nil` where a quotation does not end, with its place in `failure`.
    static func split(
        _ line: some Sequence<Character>, number: Int, source: UInt16,
        failure: inout SourcePosition?
    ) -> [IptablesWord]? {
        var words: [IptablesWord] = []
        var current = ""
        var start: SourcePosition?
        var isInQuotes = false
        var isQuoted = false
        var isEscaped = false
        for (offset, character) in line.enumerated() {
            let here = SourcePosition(line: number, column: offset + 1, source: source)
            if isEscaped {
                current.append(character)
                isEscaped = false
                continue
            }
            if character.isBlank, !isInQuotes {
                if let start {
                    words.append(
                        IptablesWord(text: current, isQuoted: isQuoted, position: start))
                }
                (start, current, isQuoted) = (nil, "", false)
                continue
            }
            if start == nil { start = here }
            switch character {
            case "\\": isEscaped = true
            case "\"":
                isInQuotes.toggle()
                isQuoted = true
            default: current.append(character)
            }
        }
        guard !isInQuotes else {
            failure = start
            return nil
        }
        if let start {
            words.append(IptablesWord(text: current, isQuoted: isQuoted, position: start))
        }
        return words
    }
}

extension Character {
    fileprivate var isBlank: Bool { self == " " || self == "\t" || self == "\r" }
}
