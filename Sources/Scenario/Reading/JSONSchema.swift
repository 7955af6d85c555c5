// The published schemas, generated from the readers' own keys. `schema/*.schema.json` holds what
// these print; a test keeps both equal.

/// A JSON schema (draft 2020-12) of one kind of file.
public enum JSONSchema: String, Sendable, CaseIterable {
    case scenario
    case node

    /// The schema as text, always the same bytes.
    public var text: String {
        var maker = SchemaMaker()
        let root: JSONValue =
            switch self {
            case .scenario: maker.mapping(ScenarioKey.self)
            case .node: maker.mapping(NodeFileKey.self)
            }
        // The top stands at the top; everything it refers to is a definition.
        guard case .object(var pairs) = root else { return "" }
        pairs.insert(
            contentsOf: [
                ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
                ("title", .string(self == .scenario ? "ctlab scenario" : "ctlab node file")),
            ], at: 0)
        pairs.append(("$defs", .object(maker.definitions.sorted { $0.0 < $1.0 })))
        return JSONValue.object(pairs).text() + "\n"
    }
}

/// Collects the definitions a schema refers to.
struct SchemaMaker {
    private(set) var definitions: [(String, JSONValue)] = []

    mutating func mapping<Key: SchemaKey>(_: Key.Type) -> JSONValue {
        closed(Key.self)
    }

    private mutating func closed(_ type: any SchemaKey.Type) -> JSONValue {
        let keys = type.description
        let noun = type.noun
        // Where anchors are kept and merged from.
        let others = type.allowsExtensions ? "^(<<$|x-)" : "^<<$"
        let properties = keys.map { key -> (String, JSONValue) in
            guard case .object(let pairs) = value(key.shape) else { return (key.name, .bool(true)) }
            return (key.name, .object([("description", .string(key.summary))] + pairs))
        }
        let required = keys.filter(\.isRequired).map { JSONValue.string($0.name) }
        var pairs: [(String, JSONValue)] = [
            ("description", .string(noun.prefix(1).uppercased() + noun.dropFirst() + ".")),
            ("type", .array([.string("object"), .string("null")])),
            ("properties", .object(properties)), ("additionalProperties", .bool(false)),
            ("patternProperties", .object([(others, .bool(true))])),
        ]
        if !required.isEmpty { pairs.append(("required", .array(required))) }
        return .object(pairs)
    }

    private mutating func value(_ shape: Shape) -> JSONValue {
        switch shape {
        case .text: return Self.type("string")
        case .boolean: return Self.type("boolean")
        case .integer(let range):
            return .object([
                ("type", .string("integer")), ("minimum", .number(range.lowerBound)),
                ("maximum", .number(range.upperBound)),
            ])
        case .quantity(let quantity): return Self.text(quantity, Self.pattern(quantity))
        case .ramp(let quantity):
            let one = Self.pattern(quantity)
            return Self.text(quantity, "\(one)( *\\.\\. *\(one))?")
        case .distribution(let quantity):
            let names = DistributionText.forms.map(\.name).joined(separator: "|")
            let one = Self.pattern(quantity)
            return Self.text(quantity, "(\(one)( *\\.\\. *\(one))?|(\(names)) *\\(.*\\))")
        case .word(let words):
            // A word that looks like a number may be written as one: hz: 250, kernel: 6.18.
            let numbers = words.compactMap { Int($0) }.map { JSONValue.number($0) }
            return .object([("enum", .array(words.map { .string($0) } + numbers))])
        case .list(let inner):
            return .object([("type", .string("array")), ("items", value(inner))])
        case .oneOrMany(let inner):
            let one = value(inner)
            return Self.any([one, .object([("type", .string("array")), ("items", one)])])
        case .named(let inner):
            return .object([
                ("type", .array([.string("object"), .string("null")])),
                ("additionalProperties", value(inner)),
            ])
        case .mapping(let keys): return reference(keys)
        case .anyOf(let shapes): return Self.any(shapes.map { value($0) })
        case .setting:
            return .object([
                ("type", .array([.string("integer"), .string("string")]))
            ])
        case .anything: return .object([])
        }
    }

    /// A reference to a mapping's definition, which is made when it is first met.
    private mutating func reference(_ keys: any SchemaKey.Type) -> JSONValue {
        let name = String(describing: keys)
        if !definitions.contains(where: { $0.0 == name }) {
            definitions.append((name, .bool(true)))
            let made = closed(keys)
            if let place = definitions.firstIndex(where: { $0.0 == name }) {
                definitions[place].1 = made
            }
        }
        return .object([("$ref", .string("#/$defs/\(name)"))])
    }

    private static func type(_ name: String) -> JSONValue { .object([("type", .string(name))]) }

    private static func any(_ values: [JSONValue]) -> JSONValue {
        .object([("anyOf", .array(values))])
    }

    private static func text(_ quantity: Quantity, _ pattern: String) -> JSONValue {
        let text = JSONValue.object([
            ("type", .string("string")), ("pattern", .string("^ *\(pattern) *$")),
        ])
        // Units are obligatory, but shares and counts have none.
        return quantity == .share || quantity == .count ? any([type("number"), text]) : text
    }

    private static func pattern(_ quantity: Quantity) -> String {
        let number = "[0-9][0-9_]*(\\.[0-9]+)?"
        let units = quantity.units.map(\.name).map { $0 == "/s" ? "/s" : $0 }
        let named = units.filter { !$0.isEmpty }.joined(separator: "|")
        let unit = units.contains("") ? "(\(named))?" : "(\(named))"
        return quantity == .duration ? "(\(number) *\(unit))+" : "\(number) *\(unit)"
    }
}

/// JSON whose objects keep their order.
enum JSONValue: Sendable {
    case string(String)
    case number(Int)
    case bool(Bool)
    case array([JSONValue])
    case object([(String, JSONValue)])

    /// With two blanks a level, as editors show it.
    func text(indentation: String = "") -> String {
        let inner = indentation + "  "
        switch self {
        case .string(let text): return Self.quoted(text)
        case .number(let number): return "\(number)"
        case .bool(let flag): return "\(flag)"
        case .array(let values):
            if values.isEmpty { return "[]" }
            let isFlat = values.allSatisfy {
                switch $0 {
                case .array, .object: false
                default: true
                }
            }
            if isFlat { return "[" + values.map { $0.text() }.joined(separator: ", ") + "]" }
            let lines = values.map { inner + $0.text(indentation: inner) }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(indentation)]"
        case .object(let pairs):
            if pairs.isEmpty { return "{}" }
            let lines = pairs.map {
                "\(inner)\(Self.quoted($0.0)): \($0.1.text(indentation: inner))"
            }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indentation)}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
