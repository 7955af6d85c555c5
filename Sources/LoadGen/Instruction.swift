/// What a client tells the sink at the beginning of a connection: 16 bytes, then the request.
///
/// The sink knows nothing else: how much to read, how much to answer, and who ends it how.
struct Instruction: Equatable {
    static let byteCount = 16
    /// How a connection, or a datagram that wants an answer, begins.
    static let mark = Array("ctl1".utf8)
    /// What the client sends when the server is to close.
    static let closeByte: UInt8 = 0x0C

    var ending: Ending
    /// Whether the server, where it ends the connection, does so right behind its answer.
    var endsAtOnce: Bool
    var requestByteCount: UInt32
    var responseByteCount: UInt32

    private static let endings: [Ending] = [.clientFIN, .serverFIN, .reset, .abandon]

    var bytes: [UInt8] {
        let number = Self.endings.firstIndex(of: ending) ?? 0
        return Self.mark + [UInt8(truncatingIfNeeded: number), endsAtOnce ? 1 : 0, 0, 0]
            + Self.bigEndian(requestByteCount) + Self.bigEndian(responseByteCount)
    }

    init(
        ending: Ending, endsAtOnce: Bool, requestByteCount: UInt32, responseByteCount: UInt32
    ) {
        self.ending = ending
        self.endsAtOnce = endsAtOnce
        self.requestByteCount = requestByteCount
        self.responseByteCount = responseByteCount
    }

    /// Reads one; `nil` if it is none: somebody else is calling.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes.starts(with: Self.mark),
            Int(bytes[4]) < Self.endings.count, bytes[5] < 2
        else { return nil }
        ending = Self.endings[Int(bytes[4])]
        endsAtOnce = bytes[5] == 1
        requestByteCount = Self.number(bytes[8..<12])
        responseByteCount = Self.number(bytes[12..<16])
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }
}
