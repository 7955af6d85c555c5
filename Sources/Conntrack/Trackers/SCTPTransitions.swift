/// The SCTP transition table: spec protocols.md §7, as data.
enum SCTPTransitions {
    /// The state a chunk leads to; `nil` where it may not come.
    static func state(
        from state: SCTPState, on chunk: SCTPChunkKind, _ direction: Direction
    ) -> SCTPState? {
        let code = row(chunk, direction) >> (UInt64(state.rawValue) * 4) & 0xf
        return SCTPState(rawValue: UInt8(truncatingIfNeeded: code))
    }

    /// A row of its own kind: every state leads to itself.
    static let standstill = pack(0, cl, cw, ce, es, ss, sr, sa, hs)

    /// The row that stands for `targets` followed by one more chunk.
    static func lead(
        _ targets: UInt64, on chunk: SCTPChunkKind, _ direction: Direction
    ) -> UInt64 {
        let row = row(chunk, direction)
        var led: UInt64 = 0
        for cell in 0..<UInt64(16) {
            led |= (row >> ((targets >> (cell * 4) & 0xf) * 4) & 0xf) << (cell * 4)
        }
        return led
    }

    private static func row(_ chunk: SCTPChunkKind, _ direction: Direction) -> UInt64 {
        rows[Int(direction.rawValue) * SCTPChunkKind.allCases.count + Int(chunk.rawValue)]
    }

    private static let cl: UInt64 = 1
    private static let cw: UInt64 = 2
    private static let ce: UInt64 = 3
    private static let es: UInt64 = 4
    private static let ss: UInt64 = 5
    private static let sr: UInt64 = 6
    private static let sa: UInt64 = 7
    private static let hs: UInt64 = 8
    private static let iv: UInt64 = 15

    private static func pack(
        _ no: UInt64, _ cl: UInt64, _ cw: UInt64, _ ce: UInt64, _ es: UInt64, _ ss: UInt64,
        _ sr: UInt64, _ sa: UInt64, _ hs: UInt64
    ) -> UInt64 {
        no | cl << 4 | cw << 8 | ce << 12 | es << 16 | ss << 20 | sr << 24 | sa << 28 | hs << 32
            | iv << 60
    }

    // Each column stands under the state it starts from; nine 4-bit cells make a word. The last cell
    // of the word keeps what is invalid invalid.
    // swift-format-ignore
    private static let rows: [UInt64] = [
        //   no  cl  cw  ce  es  ss  sr  sa  hs     original
        pack(cl, cl, cw, ce, es, cl, cl, sa, cw),  // init
        pack(cl, cl, cw, ce, es, ss, sr, sa, cl),  // init ack
        pack(cl, cl, cl, cl, cl, cl, cl, cl, cl),  // abort
        pack(cl, cl, cw, ce, ss, ss, sr, sa, cl),  // shutdown
        pack(sa, cl, cw, ce, es, sa, sa, sa, sa),  // shutdown ack
        pack(cl, cl, cw, ce, es, ss, sr, sa, cl),  // error
        pack(cl, cl, ce, ce, es, ss, sr, sa, cl),  // cookie echo
        pack(cl, cl, cw, es, es, ss, sr, sa, cl),  // cookie ack
        pack(cl, cl, cw, ce, es, ss, sr, cl, cl),  // shutdown complete
        pack(hs, cl, cw, ce, es, ss, sr, sa, hs),  // heartbeat
        pack(cl, cl, cw, ce, es, ss, sr, sa, hs),  // heartbeat ack
        //   no  cl  cw  ce  es  ss  sr  sa  hs     reply
        pack(iv, cl, cw, ce, es, ss, sr, sa, iv),  // init
        pack(iv, cw, cw, ce, es, ss, sr, sa, iv),  // init ack
        pack(iv, cl, cl, cl, cl, cl, cl, cl, iv),  // abort
        pack(iv, cl, cw, ce, sr, ss, sr, sa, iv),  // shutdown
        pack(iv, cl, cw, ce, es, sa, sa, sa, iv),  // shutdown ack
        pack(iv, cl, cw, cl, es, ss, sr, sa, iv),  // error
        pack(iv, cl, ce, ce, es, ss, sr, sa, iv),  // cookie echo
        pack(iv, cl, cw, es, es, ss, sr, sa, iv),  // cookie ack
        pack(iv, cl, cw, ce, es, ss, sr, cl, iv),  // shutdown complete
        pack(iv, cl, cw, ce, es, ss, sr, sa, hs),  // heartbeat
        pack(iv, cl, cw, ce, es, ss, sr, sa, es),  // heartbeat ack
    ]
}
