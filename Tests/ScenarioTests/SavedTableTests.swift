import Conntrack
import Testing

@testable import Scenario

/// Tables saved by `conntrack -L` or from /proc: what is no entry is said, and nothing traps.
@Suite struct SavedTableTests {
    private static let lines = [
        "tcp 6 431999 ESTABLISHED src=10.0.0.2 dst=10.0.1.2 sport=40000 dport=80 packets=2 bytes=80 "
            + "src=10.0.1.2 dst=10.0.0.2 sport=80 dport=40000 packets=1 bytes=40 [ASSURED] mark=0 use=1",
        "ipv4 2 gre 47 29 timeout=30, stream_timeout=180 src=10.0.0.2 dst=10.0.1.2 srckey=0x0 "
            + "dstkey=0x1234 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 srckey=0x1234 dstkey=0x0 mark=0 "
            + "zone=0 use=2",
        "icmpv6 58 29 src=fd00::2 dst=fd01::2 type=128 code=0 id=9 src=fd01::2 dst=fd00::2 type=129 "
            + "code=0 id=9 mark=0 use=1",
        "udp 17 4294967295 src=10.0.0.2 dst=10.0.1.2 sport=3 dport=5557 [UNREPLIED] src=10.0.1.2 "
            + "dst=10.0.0.2 sport=5557 dport=3 zone-reply=9 mark=0 use=1",
    ]

    private static func read(_ text: String) -> (table: SavedTable, findings: [Finding]) {
        var findings: [Finding] = []
        let table = SavedTable(text, file: "t.txt", findings: &findings)
        return (table, findings)
    }

    @Test("every line is an entry, and its life is kept in seconds")
    func reads() {
        let (table, findings) = Self.read(Self.lines.joined(separator: "\r\n"))
        #expect(findings.isEmpty)
        #expect(table.lines.map(\.seconds) == [431_999, 29, 29, .max])
        #expect(table.lines.map(\.entry.zoneReply) == [0, 0, 0, 9])
        #expect(table.lines.map(\.entry.zoneOriginal) == [0, 0, 0, 0])
    }

    @Test("of many wrong lines the first ten are said, each with its number")
    func saysTen() {
        let (table, findings) = Self.read(String(repeating: "\nnonsense", count: 40))
        #expect(table.lines.isEmpty)
        #expect(findings.map(\.line) == Array(2...11))
    }

    @Test("no prefix and no swapped word traps")
    func survives() {
        let others = ["", "=", "src=", "sport=99999", "-1", "0x", "zone=-1", "[", "src=::", "id=x"]
        for line in Self.lines {
            for length in 0..<line.count { _ = Self.read(String(line.prefix(length))) }
            let words = line.split(separator: " ")
            for index in words.indices {
                for other in others {
                    var changed = words.map(String.init)
                    changed[index] = other
                    _ = Self.read(changed.joined(separator: " "))
                }
            }
        }
    }
}
