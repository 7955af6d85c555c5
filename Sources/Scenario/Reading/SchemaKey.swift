// One description for two readers. Each mapping of a file has an enumeration of its keys: the
// reader switches over it, so that the compiler finds a key nobody reads; the JSON schema is
// generated from it, so that an editor knows exactly what the reader knows.

/// The keys of one kind of mapping.
protocol SchemaKey: CaseIterable, Hashable, Sendable, RawRepresentable
where RawValue == String, AllCases == [Self] {
    /// What messages call the mapping: "a node".
    static var noun: String { get }
    var shape: Shape { get }
    /// One sentence, shown by editors.
    var summary: String { get }
    var isRequired: Bool { get }
    /// Whether keys that begin with `x-` are passed over: a place for anchors.
    static var allowsExtensions: Bool { get }
}

extension SchemaKey {
    var isRequired: Bool { false }

    static var allowsExtensions: Bool { false }

    static var words: [String] { allCases.map(\.rawValue) }

    /// The enumeration without its type, for the schema.
    static var description: [KeyDescription] {
        allCases.map {
            KeyDescription(
                name: $0.rawValue, shape: $0.shape, summary: $0.summary, isRequired: $0.isRequired)
        }
    }
}

/// A key as the schema sees it.
struct KeyDescription: Sendable {
    var name: String
    var shape: Shape
    var summary: String
    var isRequired: Bool
}

/// What may stand behind a key.
indirect enum Shape: Sendable {
    case text
    case boolean
    case integer(ClosedRange<Int>)
    case quantity(Quantity)
    /// One value, or `a..b`.
    case ramp(Quantity)
    case distribution(Quantity)
    case word([String])
    case list(Shape)
    case oneOrMany(Shape)
    /// Names somebody chose, each with such a value.
    case named(Shape)
    case mapping(any SchemaKey.Type)
    case anyOf([Shape])
    /// A setting's value: a number, or words.
    case setting
    case anything

    /// The words of an enumeration.
    static func words<Word: CaseIterable & RawRepresentable>(_: Word.Type) -> Shape
    where Word.RawValue == String {
        .word(Word.allCases.map(\.rawValue))
    }
}
