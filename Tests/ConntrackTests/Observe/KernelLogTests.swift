import Conntrack
import Testing

/// What dmesg shows of a full table.
@Suite struct KernelLogTests {
    static func log(
        inode: UInt32? = 4_026_532_526, profile: KernelProfile = .linux618, burst: UInt32 = 10,
        costSeconds: UInt32 = 5
    ) -> KernelLog {
        KernelLog(
            namespaceInode: inode, profile: profile, burst: burst, costSeconds: costSeconds)
    }

    @Test("formats.md case 19: ten lines in a burst; six seconds later what was suppressed")
    func limits() {
        var log = Self.log()
        for packet in 0..<20 {
            log.tableFull(at: Instant(nanoseconds: UInt64(packet) * 50_000))
        }
        #expect(log.lines.count == 10)
        log.tableFull(at: .start + .seconds(6))
        #expect(log.lines.count == 12)
        #expect(log.lines[10].text == "net_ratelimit: 10 callbacks suppressed")
        #expect(
            log.lines[11].text
                == "nf_conntrack: nf_conntrack: table full in netns 4026532526, dropping packet")
    }

    @Test("a replay of the sampled calls writes the sample's lines")
    func matchesTheSample() throws {
        let sample = Fixture.lines("samples/dmesg_table_full.txt")
        var log = Self.log()
        // The first window of the sample had 184 silent calls before it.
        let start: UInt64 = 1_690_727_000
        for call in 0..<194 {
            log.tableFull(at: Instant(nanoseconds: (start + UInt64(call)) * 1000))
        }
        let before = log.lines.count
        var suppressed: [String: Int] = [
            "net_ratelimit: 20069 callbacks suppressed": 20069,
            "net_ratelimit: 18074 callbacks suppressed": 18074,
        ]
        var previous: Instant?
        for line in sample {
            let micros = try Self.microseconds(of: line)
            let at = Instant(nanoseconds: micros * 1000)
            if line.contains("net_ratelimit") {
                let text = String(line.split(separator: "] ", maxSplits: 1)[1])
                // Calls that stayed silent, in the window of the line before.
                if let count = suppressed.removeValue(forKey: text), let previous {
                    for _ in 0..<count { log.tableFull(at: previous) }
                }
                continue
            }
            log.tableFull(at: at)
            previous = at
        }
        let written = log.lines[before...].map { String($0.dmesg.split(separator: "] ")[1]) }
        let expected = sample.map { String($0.split(separator: "] ")[1]) }
        #expect(written == expected)
    }

    private static func microseconds(of line: String) throws -> UInt64 {
        let time = try #require(line.split(separator: "]").first).dropFirst()
        let parts = time.split(separator: ".").map { $0.filter { $0 != " " } }
        return try #require(UInt64(parts[0])) * 1_000_000 + #require(UInt64(parts[1]))
    }

    @Test(
        "who names the namespace: only Linux 6.18, only a child",
        arguments: [
            (UInt32?(nil), KernelProfile.linux618), (nil, .linux612), (7, .linux612),
        ])
    func namesNoNamespace(_ inode: UInt32?, _ profile: KernelProfile) {
        var log = Self.log(inode: inode, profile: profile)
        log.tableFull(at: .start)
        #expect(
            log.lines.map(\.text)
                == ["nf_conntrack: nf_conntrack: table full, dropping packet"])
    }

    @Test("a call exactly at the end of the window opens the next one")
    func windowEnd() {
        var log = Self.log(burst: 1)
        log.tableFull(at: .start)
        log.tableFull(at: Instant(nanoseconds: 4_999_999_999))
        #expect(log.lines.count == 1)
        log.tableFull(at: .start + .seconds(5))
        #expect(log.lines.count == 3)
    }

    @Test("message_cost 0 limits nothing, message_burst 0 says nothing but how much")
    func edges() {
        var open = Self.log(costSeconds: 0)
        for _ in 0..<100 { open.tableFull(at: .start) }
        #expect(open.lines.count == 100)
        var shut = Self.log(burst: 0)
        for second in 0..<7 { shut.tableFull(at: .start + .seconds(Int64(second))) }
        #expect(shut.lines.map(\.text) == ["net_ratelimit: 5 callbacks suppressed"])
    }

    @Test("dmesg pads the seconds to five columns and prints microseconds")
    func printsTime() {
        #expect(
            KernelLog.Line(at: Instant(nanoseconds: 1_695_730_302_999), "x").dmesg
                == "[ 1695.730302] x")
        #expect(KernelLog.Line(at: .start, "x").dmesg == "[    0.000000] x")
        #expect(
            KernelLog.Line(at: .start + .seconds(123_456), "x").dmesg == "[123456.000000] x")
    }

    @Test("dmesg puts what follows a line feed below the beginning of the text (observed)")
    func printsLines() {
        #expect(
            KernelLog.Line(at: Instant(nanoseconds: 6_274_780_058_000), "flag 1\n IN=tun0").dmesg
                == "[ 6274.780058] flag 1\n                IN=tun0")
    }

    @Test("the log forgets its oldest lines and says how many")
    func forgets() {
        var log = Self.log()
        for number in 0..<(KernelLog.lineLimit + 3) { log.append("\(number)", at: .start) }
        #expect(log.lines.count == KernelLog.lineLimit)
        #expect(log.forgottenCount == 3)
        #expect(log.lines.first?.text == "3")
        #expect(log.lines.last?.text == "\(KernelLog.lineLimit + 2)")
    }
}
