import Foundation
import LinuxCalls
import LiveKernel
import Report
import Scenario
import Testing
import Verify
import Wire

extension LiveTests {
    /// A table at its limit, on the live kernel and on the model: spec table.md §8-9.
    ///
    /// `nf_conntrack_max` is one for the whole machine, so each test takes the machine's lease for
    /// itself and is over in seconds. A limit below 100 switches the collector's early drop off (gc.md
    /// §3), so that nothing happens behind the packets' back.
    @Suite(.enabled(if: LiveMachine.hasRoom, "the live kernel is not there, or in use"))
    struct TableLimitTwoArmTests {
        private static func udp(_ family: Family, _ number: Int) throws -> [UInt8] {
            let texts = family == .ipv4 ? ("10.1.0.9", "10.2.0.9") : ("fd01::9", "fd02::9")
            let source = try #require(Address.parse(texts.0)).1
            let destination = try #require(Address.parse(texts.1)).1
            return PacketBuilder(family, from: source, to: destination)
                .udp(from: UInt16(1024 + number), to: 53)
        }

        /// Forty, or more where the machine's own connections need it; below 100.
        private static func limit() throws -> UInt16 {
            UInt16(try LiveMachine.smallLimit(least: 40))
        }

        /// A machine with room for `limit`, and that many assured TCP connections but for `free`.
        private static func assured(_ limit: UInt16, free: UInt16 = 0) throws -> TwoArmExchange {
            var x = try TwoArmExchange(sysctls: ["nf_conntrack_max": Int(limit)])
            let (o, r) = (try x.address(of: .o), try x.address(of: .r))
            for port in 2000..<2000 + limit - free {
                let there = PacketBuilder(.ipv4, from: o, to: r)
                try x.send(
                    there.tcp(from: port, to: 80, flags: .syn, sequence: 1), called: "SYN \(port)",
                    "NEW SYN_SENT U")
                try x.send(
                    there.reversed.tcp(
                        from: 80, to: port, flags: .synAck, sequence: 1, acknowledgment: 2),
                    called: "SYN-ACK", "ESTABLISHED-reply SYN_RECV")
                try x.send(
                    there.tcp(from: port, to: 80, flags: .ack, sequence: 2, acknowledgment: 2),
                    called: "ACK", "ESTABLISHED ESTABLISHED A")
            }
            return x
        }

        @Test(
            "table.md §8 and case 5, two arms: full of assured connections, every newcomer is refused"
        )
        func refusesEveryNewcomer() throws {
            let before = LogLines.tableFull()
            var x = try Self.assured(try Self.limit())
            for number in 0..<30 {
                let family: Family = number % 3 == 2 ? .ipv6 : .ipv4
                try x.send(Self.udp(family, number), called: "newcomer", "NONE gone dropped")
                #expect(x.last?.live.events == nil)
                #expect(x.last?.live.counters?.changes.map(\.name) == ["drop"])
            }
            #expect(x.refused == 30)
            // Who is in already is served: data, a close, and errors about it.
            let there = PacketBuilder(
                .ipv4, from: try x.address(of: .o), to: try x.address(of: .r))
            let data = there.tcp(
                from: 2007, to: 80, flags: .pshAck, sequence: 2, acknowledgment: 2,
                payload: [1, 2, 3])
            try x.send(data, called: "data", "ESTABLISHED ESTABLISHED A")
            try x.send(
                there.reversed.icmpError(type: 3, code: 1, about: data), called: "error",
                "RELATED-reply ESTABLISHED A")
            // A closed connection is assured as well, and stays until its time is over.
            try x.send(
                there.tcp(from: 2007, to: 80, flags: .rst, sequence: 5), called: "RST",
                "ESTABLISHED CLOSE A")
            try x.send(Self.udp(.ipv4, 99), called: "newcomer", "NONE gone dropped")
            try x.expectSameTables()

            // The limiter of the kernel log is one for the machine: it may have been used up before.
            let lines = LogLines.tableFull().dropFirst(before.count).map(LogLines.withoutNumber)
            let model = x.arms.modelLog.map(LogLines.withoutNumber)
            #expect(
                Set(model) == ["nf_conntrack: nf_conntrack: table full in netns N, dropping packet"]
            )
            #expect(Set(lines).isSubset(of: Set(model)))
        }

        @Test("table.md §8, two arms: an end makes room for exactly one")
        func makesRoomForOne() throws {
            let limit = Int(try Self.limit())
            var x = try Self.assured(UInt16(limit), free: 1)
            let there = PacketBuilder(
                .ipv4, from: try x.address(of: .o), to: try x.address(of: .r))
            try x.send(
                there.tcp(from: 9000, to: 80, flags: .syn, sequence: 1), called: "SYN",
                "NEW SYN_SENT U")
            #expect(x.last?.live.counters?["count"] == limit)
            try x.send(
                there.reversed.tcp(
                    from: 80, to: 9000, flags: .rstAck, sequence: 0, acknowledgment: 2),
                called: "RST", "ESTABLISHED-reply gone")
            #expect(x.last?.live.counters?["count"] == limit - 1)
            try x.send(
                there.tcp(from: 9001, to: 80, flags: .syn, sequence: 1), called: "SYN",
                "NEW SYN_SENT U")
            try x.send(
                there.reversed.tcp(
                    from: 80, to: 9001, flags: .synAck, sequence: 1, acknowledgment: 2),
                called: "SYN-ACK", "ESTABLISHED-reply SYN_RECV")
            try x.send(
                there.tcp(from: 9001, to: 80, flags: .ack, sequence: 2, acknowledgment: 2),
                called: "ACK", "ESTABLISHED ESTABLISHED A")
            try x.send(Self.udp(.ipv4, 0), called: "newcomer", "NONE gone dropped")
            #expect(x.refused == 1)
            try x.expectSameTables()
        }

        @Test(
            "table.md case 7, two arms (1.5 s of pauses): expired connections are counted until collected"
        )
        func countsExpired() throws {
            let limit = Int(try Self.limit())
            var x = try TwoArmExchange(
                sysctls: ["nf_conntrack_max": limit, "nf_conntrack_udp_timeout": 1])
            for number in 0..<limit {
                try x.send(Self.udp(.ipv4, number), called: "flow \(number)", "NEW U")
            }
            x.pause(seconds: 1.5)
            // Refused, unless somebody's lookup or the collector has just come by: which is chance,
            // and the same in both arms.
            for number in 100..<110 {
                try x.send(Self.udp(.ipv4, number), called: "newcomer")
            }
            // A known flow's own expired entry goes with its packet's lookup at the latest.
            for number in 0..<10 {
                try x.send(Self.udp(.ipv4, number), called: "flow \(number)")
                let packets = x.last?.live.entry?.packets
                #expect(packets == [1, 0] || x.last?.live.verdict == "dropped")
            }
            #expect(x.events.count { $0 == "DESTROY" } >= 10)
            try x.expectSameTables()
        }

        @Test("table.md case 10, two arms: with nf_conntrack_max 0 nobody is refused")
        func refusesNobody() throws {
            var x = try TwoArmExchange(sysctls: ["nf_conntrack_max": 0])
            for number in 0..<100 {
                try x.send(Self.udp(.ipv4, number), called: "newcomer", "NEW U")
            }
            #expect(x.refused == 0)
            #expect(x.last?.live.counters?["count"] == 100)
            try x.expectSameTables()
        }

        @Test(
            "table.md §9, two arms: only unassured connections make room, and each is told and counted"
        )
        func dropsEarly() throws {
            // Under the usual number of buckets one newcomer in five finds a victim.
            var packets: [TracePacket] = []
            for number in 0..<5000 {
                packets.append(
                    TracePacket(
                        nanoseconds: UInt64(number), bytes: try Self.udp(.ipv4, number),
                        interface: "o"))
            }
            let limit = 4000
            let text = """
                version: 1
                tracking: always
                interfaces:
                  o: { addresses: [10.1.0.1/16] }
                  r: { addresses: [10.2.0.1/16], default: true }
                sysctl:
                  nf_conntrack_max: \(limit)

                """
            let node = try NodeFile.parse(text, file: "node")
            let result = try Verification.run(node, packets: packets)
            #expect(result.agrees, "\(String(describing: result.first)) \(result.table)")
            // A victim's bucket may hold a second one, whose room the next newcomer finds; and the
            // collector may come by and make room for 257 (gc.md §3).
            let searches = result.evictions.searches
            #expect(700...1000 ~= searches)
            let share = 1 - exp(-16 * Double(limit) / Double(try Global.bucketCount()))
            let expected = Double(searches) * share
            let deviation = (Double(searches) * share * (1 - share)).squareRoot()
            for found in [result.evictions.live, result.evictions.model] {
                #expect(
                    abs(Double(found) - expected) <= 5 * deviation,
                    "\(result.evictions.text), expected \(expected) ± \(deviation)")
            }
        }
    }
}

/// What the kernel log says about full tables.
enum LogLines {
    /// Oldest first, without times.
    static func tableFull() -> [String] {
        guard let outcome = try? Program(named: "dmesg")?.run([]) else { return [] }
        return outcome.output.split(separator: "\n").filter { $0.contains("table full") }
            .map { String($0.drop { $0 != "]" }.dropFirst(2)) }
    }

    /// The line with `N` for the namespace's number.
    static func withoutNumber(_ line: String) -> String {
        line.split(separator: " ").map {
            $0.hasSuffix(",") && $0.dropLast().allSatisfy(\.isNumber) ? "N," : String($0)
        }.joined(separator: " ")
    }
}
