import Testing
import Wire

@testable import Conntrack

/// The transition table of spec tcp.md §5.1, typed from there a second time, and held against both
/// the tracker's own table and a machine that is brought into each state.
@Suite("TCP transition table")
struct TCPTransitionTableTests {
    private static let states: [TCPState] = [
        .none, .synSent, .synReceived, .established, .finWait, .closeWait, .lastAck, .timeWait,
        .close, .synSent2,
    ]
    private static let words = ["NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2"]

    // swift-format-ignore: each column stands under the state it starts from.
    private static let original = """
        class  NO SS SR ES FW CW LA TW CL S2
        syn    SS SS ig ig ig ig ig SS SS S2
        synack ·  ·  SR ·  ·  ·  ·  ·  ·  SR
        fin    ·  ·  FW FW LA LA LA TW CL ·
        ack    ES ·  ES ES CW CW TW TW CL ·
        rst    ·  CL CL CL CL CL CL CL CL CL
        """

    private static let reply = """
        class  SS SR ES FW CW LA TW CL S2
        syn    S2 ·  ·  ·  ·  ·  SS ·  S2
        synack SR ig ig ig ig ig ig ig SR
        fin    ·  FW FW LA LA LA TW CL ·
        ack    ig SR ES CW CW TW TW CL ig
        rst    CL CL CL CL CL CL CL CL CL
        """

    struct Cell: CustomTestStringConvertible {
        var state: TCPState
        var kind: TCPClass
        var direction: Direction
        var move: TCPMove

        var testDescription: String {
            let result =
                switch move {
                case .to(let state): state.name
                case .ignore: "ignored"
                case .invalid: "INVALID"
                }
            return "\(state.name), \(direction) \(kind) -> \(result)"
        }
    }

    private static func cells(_ text: String, _ direction: Direction) -> [Cell] {
        let classes: [String: TCPClass] = [
            "syn": .syn, "synack": .synAck, "fin": .fin, "ack": .ack, "rst": .rst,
        ]
        let rows = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        let columns = rows[0].dropFirst().compactMap { states(named: $0) }
        return rows.dropFirst().flatMap { row in
            zip(columns, row.dropFirst()).compactMap { state, word in
                guard let kind = classes[row[0]] else { return nil }
                let move: TCPMove =
                    switch word {
                    case "·": .invalid
                    case "ig": .ignore
                    default: states(named: word).map(TCPMove.to) ?? .invalid
                    }
                return Cell(state: state, kind: kind, direction: direction, move: move)
            }
        }
    }

    private static func states(named word: String) -> TCPState? {
        words.firstIndex(of: word).map { states[$0] }
    }

    static let allCells = cells(original, .original) + cells(reply, .reply)

    @Test("tcp.md §5.1 has 95 cells")
    func size() { #expect(Self.allCells.count == 95) }

    @Test("tcp.md §5.1, the tracker's table", arguments: allCells)
    func table(cell: Cell) {
        #expect(
            TCPTransitions.move(from: cell.state, on: cell.kind, cell.direction) == cell.move)
    }

    // MARK: On a machine

    /// Brings a connection into a state by the shortest way.
    private static func exchange(in state: TCPState) -> Exchange {
        var x = Exchange()
        if state == .none { return x }
        x.o(.syn, with: .full(7))
        if state == .synSent2 { x.r(.syn, with: .full(7)) }
        if state == .synSent || state == .synSent2 { return x }
        x.r(.synAck, with: .full(7))
        if state == .synReceived { return x }
        x.o(.ack)
        if state == .close { x.o(.rst) }
        if state == .established || state == .close { return x }
        x.o(.finAck)
        if state == .finWait { return x }
        x.r(.ack)
        if state == .closeWait { return x }
        x.r(.finAck)
        if state == .lastAck { return x }
        x.o(.ack)
        return x
    }

    /// What a segment with the right numbers does there, the footnotes of §5.1 and U1 of §7
    /// included.
    private static func outcome(_ cell: Cell) -> Expected {
        let timeouts: [TCPState: Int] = [
            .synSent: 120, .synReceived: 60, .established: 432_000, .finWait: 120,
            .closeWait: 60, .lastAck: 30, .timeWait: 120, .close: 10, .synSent2: 120,
        ]
        let isAssured = ![.none, .synSent, .synReceived, .synSent2].contains(cell.state)
        let mark = isAssured ? " A" : ""
        switch cell.move {
        case .invalid: return "INVALID"
        case .ignore:
            return "\(cell.state.name)/\(timeouts[cell.state] ?? 0)\(mark) ignored"
        case .to(.synSent) where isAssured:
            return "NEW SYN_SENT/120 U counted"  // Reopened: CLOSE_INIT, or its own RST before.
        case .to(.close) where cell.state == .synSent:
            return "gone"  // The answer to a SYN nobody answered.
        case .to(.established) where cell.state == .none: return "NEW ESTABLISHED/300 U counted"
        case .to(.established) where cell.state == .synReceived:
            return "ESTABLISHED/432000 A counted"
        case .to(.synSent) where cell.state == .synSent: return "SYN_SENT/120 U ignored"
        case .to(.synSent): return "NEW SYN_SENT/120 U counted"
        case .to(.synSent2) where cell.state == .synSent: return "SYN_SENT2/120 ignored"
        case .to(.synReceived) where cell.state == .synSent2 && cell.kind == .ack:
            return "ESTABLISHED/432000 A counted"
        case .to(let state): return "\(state.name)/\(timeouts[state] ?? 0)\(mark) counted"
        }
    }

    @Test("tcp.md §5.1, on a machine", arguments: allCells)
    func machine(cell: Cell) {
        var x = Self.exchange(in: cell.state)
        x.expect("state before", x.tcp.state, cell.state)
        let flags: TCPFlags =
            switch cell.kind {
            case .syn: .syn
            case .synAck: .synAck
            case .fin: .finAck
            case .ack, .none: .ack
            case .rst: .rst
            }
        let host = cell.direction == .original ? Host.o : .r
        // A SYN in a handshake repeats the first; elsewhere it is a new one.
        let isRepeated =
            flags.contains(.syn) && [.synSent, .synReceived, .synSent2].contains(cell.state)
        let sequence = x.next[host].map { isRepeated && $0 % 1000 == 1 ? $0 - 1 : $0 }
        x.segment(host, flags, seq: sequence, Self.outcome(cell))
    }
}
