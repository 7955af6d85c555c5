import Testing
import Wire

@testable import Conntrack

// What the FTP helper makes of a line: every row was observed on a live 6.18.

@Suite("FTP: what a line announces")
struct FTPReadingTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let line: String
        let direction: Direction
        /// Address and port; `nil`: the packet is dropped; empty: the line says nothing.
        let wanted: String?
        var family = Family.ipv4

        init(_ line: String, _ wanted: String?, _ family: Family = .ipv4) {
            self.line = line
            self.wanted = wanted
            self.family = family
            direction = line.first == "2" ? .reply : .original
        }

        var testDescription: String { line.debugDescription }

        func check() {
            let reading = FTP.read(Array(line.utf8), direction, family)
            switch reading {
            case .nothing: #expect(wanted?.isEmpty == true)
            case .unreadable: #expect(wanted == nil)
            case .announcement(let found):
                let address = found.address.map { $0.text(found.family) } ?? "own"
                #expect("\(address) \(found.port)" == wanted)
            }
        }
    }

    static let ports: [Row] = [
        Row("PORT 10,0,0,2,19,137\r\n", "10.0.0.2 5001"),
        Row("port 10,0,0,2,19,137\r\n", "10.0.0.2 5001"),
        Row("PORT 10,0,0,2,19,137\r", "10.0.0.2 5001"),
        Row("PORT 10,0,0,2,19,137\r\nNOOP\r\n", "10.0.0.2 5001"),
        Row("PORT 010,0,0,2,019,137\r\n", "10.0.0.2 5001"),
        Row("PORT 10,0,0,2,0,0\r\n", "10.0.0.2 0"),
        Row("PORT 10,0,0,2,300,1\r\n", "10.0.0.2 11265"),
        Row("PORT 10,0,0,2,19,1370\r\n", "10.0.0.2 5978"),
        Row("PORT 256,0,0,2,19,137\r\n", "0.0.0.2 5001"),
        Row("PORT 10,0,0,2,19,137\n", nil), Row("PORT 10,0,0,2,19,137", nil),
        Row("PORT 10,0,0,2,19\r\n", nil), Row("PORT  10,0,0,2,19,137\r\n", nil),
        Row("PORT\t10,0,0,2,19,137\r\n", nil), Row("PORT10,0,0,2,19,137\r\n", nil),
        Row("PORT 10,0,0,2,19,137 \r\n", nil), Row("PORT 10,0,0,2,19,137,\r\n", nil),
        Row("PORT 10.0.0.2.19.137\r\n", nil), Row("PORT x\r\n", nil), Row("PORT ", nil),
        Row("PORT", nil), Row("P", nil),
        Row(" PORT 10,0,0,2,19,137\r\n", ""), Row("NOOP\r\nPORT 10,0,0,2,19,137\r\n", ""),
        Row("PASV\r\n", ""), Row("NOOP", ""),
    ]

    static let extendedPorts: [Row] = [
        Row("EPRT |1|10.0.0.2|5002|\r\n", "10.0.0.2 5002"),
        Row("eprt !1!10.0.0.2!5002!\r\n", "10.0.0.2 5002"),
        Row("EPRT (1(10.0.0.2(5002(\r\n", "10.0.0.2 5002"),
        Row("EPRT |1|10.0.0.2|5002|", "10.0.0.2 5002"),
        Row("EPRT |1|010.0.0.2|05002|\r\n", "10.0.0.2 5002"),
        Row("EPRT |2|fd00::2|5002|\r\n", "fd00::2 5002", .ipv6),
        Row("EPRT |2|FD00:0:0::0002|5002|\r\n", "fd00::2 5002", .ipv6),
        Row("EPRT |2|::ffff:1.2.3.4|5002|\r\n", "::ffff:1.2.3.4 5002", .ipv6),
        Row("EPRT |2|fd00::2|5002|\r\n", nil), Row("EPRT |1|10.0.0.2|5002|\r\n", nil, .ipv6),
        Row("EPRT |2|fd00:::2|5002|\r\n", nil, .ipv6), Row("EPRT |2|fd00::2", nil, .ipv6),
        Row("EPRT |1|10.0.0.2|5002\r\n", nil), Row("EPRT |1|10.0.0.2|0|\r\n", nil),
        Row("EPRT |1|10.0.0.2|65536|\r\n", nil), Row("EPRT |1|10.0.0|5002|\r\n", nil),
        Row("EPRT |3|10.0.0.2|5002|\r\n", nil), Row("EPRT |1|10.0.0.2!5002|\r\n", nil),
        Row("EPRT 111111\r\n", nil), Row("EPRT |1|", nil), Row("EPR", nil),
    ]

    static let answers: [Row] = [
        Row("227 Entering Passive Mode (198,51,100,7,78,32).\r\n", "198.51.100.7 20000"),
        Row("227 Entering Passive Mode 198,51,100,7,78,32\r\n", "198.51.100.7 20000"),
        Row("227 =198,51,100,7,78,32\r\n", "198.51.100.7 20000"),
        Row("227 ((198,51,100,7,78,32)) (1,2,3,4,5,6)\r\n", "198.51.100.7 20000"),
        Row("227 x 5 (198,51,100,7,78,32)\r\n", nil), Row("227 (198,51,100,7,78", nil),
        Row("227 198,51,100,7,78,32", nil), Row("227 (198,51,100,7,78,32,9)\r\n", nil),
        Row("227 nothing\r\n", nil), Row("22", nil),
        Row("227-(198,51,100,7,78,32)\r\n", ""), Row("228 (198,51,100,7,78,32)\r\n", ""),
        Row("229 Entering Extended Passive Mode (|||20001|)\r\n", "own 20001"),
        Row("229 (!!!20001!)\r\n", "own 20001"), Row("229 (|||20001|", "own 20001"),
        Row("229 (|||99999|)\r\n", "own 34463"),
        Row("229 (|1||20001|)\r\n", nil), Row("229 (|||0|)\r\n", nil),
        Row("229 |||20001|\r\n", nil), Row("229 (||20001|)\r\n", nil),
        Row("229 x (y) (|||20001|)\r\n", nil), Row("229 (|||20001", nil),
        Row("229 (111200011)\r\n", nil),
    ]

    @Test("PORT", arguments: ports) func readsPort(_ row: Row) { row.check() }
    @Test("EPRT", arguments: extendedPorts) func readsEPRT(_ row: Row) { row.check() }
    @Test("227 and 229", arguments: answers) func readsAnswers(_ row: Row) { row.check() }

    @Test("every piece and every wrong bit of a line is read without harm")
    func survivesDamage() {
        var readings: Set<FTPReading> = []
        for row in Self.ports + Self.extendedPorts + Self.answers {
            let bytes = Array(row.line.utf8)
            for count in 0...bytes.count {
                readings.insert(FTP.read(Array(bytes.prefix(count)), row.direction, row.family))
            }
            for bit in 0..<bytes.count * 8 {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                readings.insert(FTP.read(damaged, row.direction, row.family))
            }
        }
        // A reader that reads nothing would be noticed.
        #expect(readings.count > 100)
    }

    @Test("two places where lines begin are remembered, the newest ones")
    func remembersLines() {
        var lines = FTPLines()
        #expect(!lines.begins(at: 0))
        for sequence: UInt32 in [1009, 1013, 1017, 1021] { lines.note(sequence) }
        #expect(lines.begins(at: 1017) && lines.begins(at: 1021) && !lines.begins(at: 1013))
        lines.note(1013)  // A retransmission from before both.
        #expect(lines.begins(at: 1017) && lines.begins(at: 1021) && !lines.begins(at: 1013))
        lines.note(3)  // Behind the wrap it would be newer than neither.
        #expect(!lines.begins(at: 3))
    }
}

@Suite("Sequence numbers of a stream that a helper changes")
struct SequenceShiftTests {
    @Test("what is behind a change is shifted by it, what is before it by those before")
    func shifts() {
        var shift = SequenceShift()
        #expect(shift.isNone && shift.offset(at: 7) == 0)
        shift.note(3, at: 1009)
        #expect(shift.offset(at: 1009) == 0 && shift.offset(at: 1010) == 3)
        #expect(shift.original(of: 1034) == 1031 && shift.original(of: 1009) == 1009)
        shift.note(-2, at: 1037)
        #expect(shift.offset(at: 1009) == 3 && shift.offset(at: 1037) == 3)
        #expect(shift.offset(at: 1038) == 1 && shift.original(of: 1061) == 1060)
    }

    @Test("the same segment again changes nothing, nor does an earlier one")
    func ignoresRetransmissions() {
        var shift = SequenceShift()
        shift.note(3, at: .max - 1)
        let once = shift
        shift.note(3, at: .max - 1)
        shift.note(5, at: .max - 100)
        #expect(shift == once)
        shift.note(5, at: 20)  // Behind the wrap.
        #expect(shift.offset(at: 21) == 8)
    }
}
