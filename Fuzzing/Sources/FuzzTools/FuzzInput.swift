/// Bytes a fuzzer made up, taken from the front.
///
/// Behind their end everything is zero, so that every input means something.
public struct FuzzInput {
    public private(set) var rest: ArraySlice<UInt8>

    public init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// Copies what libFuzzer hands over.
    public init(_ base: UnsafePointer<UInt8>?, _ count: Int) {
        unsafe self.init(Array(UnsafeBufferPointer(start: base, count: count)))
    }

    public var isEmpty: Bool { rest.isEmpty }

    public mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    public mutating func number16() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }

    public mutating func number32() -> UInt32 { UInt32(number16()) << 16 | UInt32(number16()) }

    /// The next `count` bytes, or what is left of them.
    public mutating func take(_ count: Int) -> [UInt8] {
        let taken = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return taken
    }

    /// What is left, as text if it is any.
    public var text: String? { String(validating: rest, as: UTF8.self) }
}

/// Stops the fuzzer with a sentence where something that must hold does not.
public func hold(_ condition: Bool, _ what: @autoclosure () -> String) {
    precondition(condition, what())
}
