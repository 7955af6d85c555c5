import Testing
import Wire

@testable import Conntrack

/// The transition table of spec protocols.md §7, typed from there a second time, and held against
/// both the tracker's own table and a machine that is brought into each state.
@Suite("SCTP transition table")
struct SCTPTransitionTableTests {
    private static let words = ["NO", "CL", "CW", "CE", "ES", "SS", "SR", "SA", "HS"]

    // swift-format-ignore: each column stands under the state it starts from.
    private static let original = """
        chunk NO CL CW CE ES SS SR SA HS
        1     CL CL CW CE ES CL CL SA CW
        2     CL CL CW CE ES SS SR SA CL
        6     CL CL CL CL CL CL CL CL CL
        7     CL CL CW CE SS SS SR SA CL
        8     SA CL CW CE ES SA SA SA SA
        9     CL CL CW CE ES SS SR SA CL
        10    CL CL CE CE ES SS SR SA CL
        11    CL CL CW ES ES SS SR SA CL
        14    CL CL CW CE ES SS SR CL CL
        4     HS CL CW CE ES SS SR SA HS
        5     CL CL CW CE ES SS SR SA HS
        """

    private static let reply = """
        chunk NO CL CW CE ES SS SR SA HS
        1     -- CL CW CE ES SS SR SA --
        2     -- CW CW CE ES SS SR SA --
        6     -- CL CL CL CL CL CL CL --
        7     -- CL CW CE SR SS SR SA --
        8     -- CL CW CE ES SA SA SA --
        9     -- CL CW CL ES SS SR SA --
        10    -- CL CE CE ES SS SR SA --
        11    -- CL CW ES ES SS SR SA --
        14    -- CL CW CE ES SS SR CL --
        4     -- CL CW CE ES SS SR SA HS
        5     -- CL CW CE ES SS SR SA ES
        """

    struct Cell: CustomTestStringConvertible {
        var state: SCTPState
        var type: UInt8
        var direction: Direction
        var next: SCTPState?

        var testDescription: String {
            "\(state), \(direction) chunk \(type) -> \(next.map { "\($0)" } ?? "INVALID")"
        }
    }

    private static func cells(_ text: String, _ direction: Direction) -> [Cell] {
        let rows = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        return rows.dropFirst().flatMap { row in
            zip(rows[0], row).dropFirst().compactMap { column, word in
                guard let type = UInt8(row[0]), let state = state(named: column) else {
                    return nil
                }
                return Cell(
                    state: state, type: type, direction: direction, next: self.state(named: word))
            }
        }
    }

    private static func state(named word: String) -> SCTPState? {
        words.firstIndex(of: word).flatMap { SCTPState(rawValue: UInt8($0)) }
    }

    static let allCells = cells(original, .original) + cells(reply, .reply)

    @Test("protocols.md §7 has 198 cells")
    func size() { #expect(allCells.count == 198) }

    private var allCells: [Cell] { Self.allCells }

    @Test("protocols.md §7, the tracker's table", arguments: allCells)
    func table(cell: Cell) throws {
        let kind = try #require(SCTPChunkKind(type: cell.type))
        #expect(kind.type == cell.type)
        #expect(
            SCTPTransitions.state(from: cell.state, on: kind, cell.direction) == cell.next)
    }

    @Test("no other chunk moves anything", arguments: UInt8.min...UInt8.max)
    func others(type: UInt8) {
        let isInTable = Self.allCells.contains { $0.type == type }
        #expect((SCTPChunkKind(type: type) != nil) == isInTable)
    }

    // MARK: On a machine

    /// The chunk, and the tag that lets it pass in this state.
    private static func packet(_ cell: Cell) -> (tag: UInt32, chunk: Chunk) {
        let own: UInt32 =
            switch (cell.state, cell.direction) {
            case (.closed, .original): 0
            case (.heartbeatSent, .reply): 0
            case (_, .original): 0xb
            case (_, .reply): 0xa
            }
        switch cell.type {
        case 1:
            return (0, .initiation(cell.direction == .original ? 0xa : 0xb))
        case 2:
            return (own, .initiationAck(cell.direction == .original ? 0xa : 0xb))
        default: return (own, Chunk(type: cell.type, value: [0, 0, 0, 0]))
        }
    }

    @Test(
        "protocols.md §7, on a machine: state, timeout and what is said",
        arguments: allCells.filter { $0.state != .none })
    func machine(cell: Cell) {
        var x = Exchange.association(in: cell.state)
        let (tag, chunk) = Self.packet(cell)
        let host = cell.direction == .original ? Host.o : .r
        let old = StateName.sctp(cell.state.rawValue)
        guard let next = cell.next else {
            x.sctp(host, tag: tag, chunk, "INVALID \(old)/30 U ignored invalid+1")
            x.expectRemark(
                "Invalid, old_state \(cell.state.rawValue), dir \(cell.direction.rawValue),"
                    + " type \(cell.type)")
            return
        }
        // A repeated INIT does not keep a closed association alive (step 6).
        let isRepeated = cell.type == 1 && cell.state == .closed && next == .closed
        x.sctp(host, tag: tag, chunk, isRepeated ? "ignored" : "counted")
        let timeouts = [0, 10, 3, 3, 210, 3, 3, 3, 30]
        let found = x.last.state.split(separator: " ")
        let wanted = "\(StateName.sctp(next.rawValue))/\(timeouts[Int(next.rawValue)])"
        x.expect("state", String(found[0]), wanted)
        let wasAssured: [SCTPState] = [
            .established, .shutdownSent, .shutdownReceived, .shutdownAckSent,
        ]
        let isAssured = next == .established || wasAssured.contains(cell.state)
        x.expect("assured", found.last == "A", isAssured)
    }
}
