import Yams

/// A node written as YAML on one line.
enum YAMLText {
    /// As `--set` would take it: `65536`, `[a, b]`, `"two words"`.
    static func written(_ node: YAMLNode) -> String? {
        switch node {
        case .scalar(let scalar):
            return scalar.style == .plain ? scalar.string : quoted(scalar.string)
        case .sequence(let sequence):
            return "[" + sequence.compactMap(written).joined(separator: ", ") + "]"
        case .mapping(let mapping):
            let pairs = mapping.compactMap { key, value in
                written(key).flatMap { key in written(value).map { "\(key): \($0)" } }
            }
            return "{" + pairs.joined(separator: ", ") + "}"
        case .alias: return nil
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for character in text {
            switch character {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default: result.append(character)
            }
        }
        return result + "\""
    }
}
