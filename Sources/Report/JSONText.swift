// A small writer of JSON text that keeps keys in the order they are written. Foundation's encoder
// knows only sorted or random order, and the contract's lines are read by people too: what happened
// to a packet stands before what its bytes were. Decoding stays with Codable, which also proves the
// lines (a test reads every one of them back).

/// JSON as it grows, in UTF-8.
///
/// The caller keeps the grammar: keys only in objects, one value a key.
public struct JSONText: Sendable {
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    public init() {}

    /// Forgets what was written, which its caller has taken, and goes on behind it.
    public mutating func removeWritten() { bytes.removeAll(keepingCapacity: true) }

    /// Ends a line.
    public mutating func endLine() {
        bytes.append(UInt8(ascii: "\n"))
        needsComma = false
    }

    public mutating func object(_ body: (inout JSONText) -> Void) {
        open("{")
        body(&self)
        close("}")
    }

    public mutating func array<Element>(
        _ elements: some Sequence<Element>, _ body: (inout JSONText, Element) -> Void
    ) {
        open("[")
        for element in elements { body(&self, element) }
        close("]")
    }

    /// A key, which is one of ours and has nothing to escape.
    public mutating func key(_ name: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func value(_ text: String) {
        separate()
        quote(text)
    }

    public mutating func value(_ number: some BinaryInteger) {
        separate()
        bytes.append(contentsOf: String(number).utf8)
    }

    public mutating func value(_ flag: Bool) {
        separate()
        bytes.append(contentsOf: (flag ? "true" : "false").utf8)
    }

    /// An entry, as the contract writes it.
    public mutating func value(_ entry: EntryRecord) {
        entry.write(to: &self)
    }

    public mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    // MARK: -

    private mutating func open(_ bracket: Unicode.Scalar) {
        separate()
        bytes.append(UInt8(ascii: bracket))
        needsComma = false
    }

    private mutating func close(_ bracket: Unicode.Scalar) {
        bytes.append(UInt8(ascii: bracket))
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        if Self.needsEscapes(text.utf8.span) {
            for byte in text.utf8 { appendEscaped(byte) }
        } else {
            bytes.append(contentsOf: text.utf8)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func needsEscapes(_ text: Span<UInt8>) -> Bool {
        for index in text.indices {
            let byte = text[index]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                return true
            }
        }
        return false
    }

    private mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
        case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
        case 0..<0x20:
            bytes.append(contentsOf: (byte < 0x10 ? "\\u000" : "\\u00").utf8)
            bytes.append(contentsOf: String(byte, radix: 16).utf8)
        default: bytes.append(byte)
        }
    }
}

// Optional parts of an object: a key is written only with a value.
extension JSONText {
    mutating func member(_ name: String, _ text: String?) {
        guard let text else { return }
        key(name)
        value(text)
    }

    mutating func member(_ name: String, _ number: Int?) {
        guard let number else { return }
        key(name)
        value(number)
    }

    mutating func member(_ name: String, _ texts: [String]?) {
        guard let texts else { return }
        key(name)
        array(texts) { $0.value($1) }
    }

    mutating func member(_ name: String, _ numbers: [Int]?) {
        guard let numbers else { return }
        key(name)
        array(numbers) { $0.value($1) }
    }

    mutating func member(_ name: String, _ record: (some JSONWritable)?) {
        guard let record else { return }
        key(name)
        record.write(to: &self)
    }

    mutating func member(_ name: String, _ records: [some JSONWritable]?) {
        guard let records else { return }
        key(name)
        array(records) { $1.write(to: &$0) }
    }
}

/// A record that writes itself with its keys in the contract's order.
protocol JSONWritable {
    func write(to json: inout JSONText)
}
