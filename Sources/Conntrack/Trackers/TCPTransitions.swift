/// What the transition table says about a segment.
enum TCPMove: Hashable, BitwiseCopyable {
    case to(TCPState)
    case ignore
    case invalid
}

/// The TCP transition table: spec tcp.md §5.1, as data.
enum TCPTransitions {
    static func move(from state: TCPState, on segment: TCPClass, _ direction: Direction) -> TCPMove
    {
        guard segment != .none else { return .invalid }
        let row = Int(direction.rawValue) * 5 + Int(segment.rawValue)
        let code = (rows[row] >> (UInt64(state.rawValue) * 4)) & 0xf
        switch code {
        case ig: return .ignore
        case iv: return .invalid
        default: return .to(TCPState(rawValue: UInt8(truncatingIfNeeded: code)) ?? .none)
        }
    }

    private static let ss: UInt64 = 1
    private static let sr: UInt64 = 2
    private static let es: UInt64 = 3
    private static let fw: UInt64 = 4
    private static let cw: UInt64 = 5
    private static let la: UInt64 = 6
    private static let tw: UInt64 = 7
    private static let cl: UInt64 = 8
    private static let s2: UInt64 = 9
    private static let ig: UInt64 = 14
    private static let iv: UInt64 = 15

    private static func pack(
        _ no: UInt64, _ ss: UInt64, _ sr: UInt64, _ es: UInt64, _ fw: UInt64, _ cw: UInt64,
        _ la: UInt64, _ tw: UInt64, _ cl: UInt64, _ s2: UInt64
    ) -> UInt64 {
        no | ss << 4 | sr << 8 | es << 12 | fw << 16 | cw << 20 | la << 24 | tw << 28 | cl << 32
            | s2 << 36
    }

    // Each column stands under the state it starts from; sixteen 4-bit cells make a word.
    // swift-format-ignore
    private static let rows: [UInt64] = [
        //   no  ss  sr  es  fw  cw  la  tw  cl  s2     original
        pack(ss, ss, ig, ig, ig, ig, ig, ss, ss, s2),  // syn
        pack(iv, iv, sr, iv, iv, iv, iv, iv, iv, sr),  // syn+ack
        pack(iv, iv, fw, fw, la, la, la, tw, cl, iv),  // fin
        pack(es, iv, es, es, cw, cw, tw, tw, cl, iv),  // ack
        pack(iv, cl, cl, cl, cl, cl, cl, cl, cl, cl),  // rst
        //   no  ss  sr  es  fw  cw  la  tw  cl  s2     reply
        pack(iv, s2, iv, iv, iv, iv, iv, ss, iv, s2),  // syn
        pack(iv, sr, ig, ig, ig, ig, ig, ig, ig, sr),  // syn+ack
        pack(iv, iv, fw, fw, la, la, la, tw, cl, iv),  // fin
        pack(iv, ig, sr, es, cw, cw, tw, tw, cl, ig),  // ack
        pack(iv, cl, cl, cl, cl, cl, cl, cl, cl, cl),  // rst
    ]
}
