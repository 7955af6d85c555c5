import LiveKernel
import Report
import Testing
import Wire

extension LiveTests {
    /// The live machine itself: what it sees, and what it leaves behind.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct LiveRouterTests {
        private static let syn: [UInt8] = {
            let client = Address(ipv4: 0x0A00_0002)
            let server = Address(ipv4: 0xC633_6407)
            return PacketBuilder(.ipv4, from: client, to: server)
                .tcp(from: 40_000, to: 80, flags: .syn, sequence: 1)
        }()

        @Test("a packet is forwarded, tracked, counted, and found by its tuple")
        func tellsAboutAPacket() throws {
            var router = try LiveRouter(LiveMachine.gateway())
            let outcome = try router.send(Self.syn, number: 0, on: 0, traceTime: 0).outcome
            #expect(outcome.state == "new")
            #expect(outcome.direction == "original")
            #expect(outcome.verdict == "forwarded")
            #expect(outcome.out?.map(\.interface) == ["wan"])
            #expect(outcome.events?.map(\.type) == ["NEW"])
            #expect(outcome.entry?.tcp?.state == "SYN_SENT")
            #expect(outcome.counters?["count"] == 1)
            #expect(try router.remainder().entries.count == 1)
        }

        @Test("without a rule that needs it nothing is tracked, and watching does not change that")
        func leavesUntrackedAlone() throws {
            var router = try LiveRouter(LiveMachine.gateway(tracking: .auto))
            let outcome = try router.send(Self.syn, number: 0, on: 0, traceTime: 0).outcome
            #expect(outcome.state == "none")
            #expect(outcome.verdict == "forwarded")
            #expect(try router.remainder().count == 0)
        }

        @Test(
            "a rule of one family makes that family tracked",
            arguments: [
                ("ip", "filter hook forward priority 0", "ct state new accept", "new"),
                ("ip6", "filter hook forward priority 0", "ct state new accept", "none"),
                ("inet", "filter hook input priority 0", "ct mark 7 drop", "new"),
                ("ip", "nat hook postrouting priority 100", "masquerade", "new"),
                ("ip", "filter hook prerouting priority -300", "notrack", "none"),
                ("ip", "filter hook forward priority 0", "log prefix \"ct dnat\"", "none"),
            ])
        func followsTheRules(
            _ family: String, _ place: String, _ rule: String, _ state: String
        ) throws {
            let ruleset = """
                table \(family) t {
                    chain c {
                        type \(place);
                        \(rule)
                    }
                }
                """
            var router = try LiveRouter(LiveMachine.gateway(ruleset: ruleset, tracking: .auto))
            let outcome = try router.send(Self.syn, number: 0, on: 0, traceTime: 0).outcome
            #expect(outcome.state == state)
        }

        @Test("a packet to the machine itself arrives, and nothing answers")
        func staysSilent() throws {
            var router = try LiveRouter(LiveMachine.gateway())
            let packet = PacketBuilder(
                .ipv4, from: Address(ipv4: 0x0A00_0002), to: Address(ipv4: 0x0A00_0001)
            ).icmp(type: 8, identifier: 7)
            let outcome = try router.send(packet, number: 0, on: 0, traceTime: 0).outcome
            #expect(outcome.verdict == "local")
            #expect(outcome.out == nil)
        }

        @Test(
            "what is no IP packet is dropped and never seen",
            arguments: [[], [0x45], [0x00, 0x01]])
        func dropsRubbish(_ bytes: [UInt8]) throws {
            var router = try LiveRouter(LiveMachine.gateway())
            let outcome = try router.send(bytes, number: 0, on: 0, traceTime: 0).outcome
            #expect(outcome.state == "none")
            #expect(outcome.verdict == "dropped")
        }

        @Test("looking at an expired entry for a packet nobody tracked does not remove it")
        func evictsNothing() throws {
            let timeout = LiveNode.Setting("nf_conntrack_tcp_timeout_syn_sent", "1")
            var router = try LiveRouter(LiveMachine.gateway(sysctls: [timeout]))
            _ = try router.send(Self.syn, number: 0, on: 0, traceTime: 0)
            var broken = Self.syn
            broken[10] ^= 0xFF  // The header's checksum: IP input drops it.
            let late = try router.send(broken, number: 1, on: 0, traceTime: 2_300_000_000)
            #expect(late.nanoseconds >= 2_290_000_000)
            #expect(late.outcome.state == "none")
            #expect(late.outcome.entry == nil)
            // Whether the collector came by in the meantime is its own business.
            let hasCollected = late.outcome.before?.events?.isEmpty == false
            #expect((late.outcome.events?.isEmpty ?? true) || hasCollected)
        }

        @Test("a ruleset nft does not take is an error that shows nft's words")
        func showsWhatNFTRefuses() {
            let error = #expect(throws: LiveKernelError.self) {
                _ = try LiveRouter(LiveMachine.gateway(ruleset: "table ip t { nonsense }"))
            }
            #expect(error?.description.contains("nonsense") == true)
        }

        @Test("settings of the whole machine are put back")
        func putsGlobalsBack() throws {
            let before = try LiveMachine.limitAtRest()
            do {
                let limit = LiveNode.Setting("net.netfilter.nf_conntrack_max", "54321")
                let router = try LiveRouter(LiveMachine.gateway(sysctls: [limit]))
                #expect(router.settingsLeftOut.isEmpty)
                #expect(try Global.limit() == "54321")
            }
            #expect(try LiveMachine.limitAtRest() == before)
        }

        @Test("settings left behind by a process that is gone are put back by the next one")
        func recovers() throws {
            let before = try LiveMachine.limitAtRest()
            // What a killed run leaves: the changed value, and the note of what it was.
            try Global.write("nf_conntrack_max", "54321")
            try Global.leaveNote("net.netfilter.nf_conntrack_max 54321 \(before)\n")
            _ = try LiveRouter(LiveMachine.gateway())
            #expect(try LiveMachine.limitAtRest() == before)
        }

        @Test("a full table turns a new flow away, and says so in the counters")
        func refusesWhenFull() throws {
            let room = try LiveMachine.smallLimit(least: 1)
            let limit = LiveNode.Setting("net.netfilter.nf_conntrack_max", "\(room)")
            var router = try LiveRouter(LiveMachine.gateway(sysctls: [limit]))
            let client = PacketBuilder(
                .ipv4, from: Address(ipv4: 0x0A00_0003), to: Address(ipv4: 0xC633_6407))
            func syn(_ number: Int) -> [UInt8] {
                client.tcp(from: UInt16(40_000 + number), to: 80, flags: .syn, sequence: 1)
            }
            for number in 0..<room {
                let first = try router.send(
                    syn(number), number: number, on: 0, traceTime: UInt64(number))
                #expect(first.outcome.verdict == "forwarded")
            }
            let outcome = try router.send(
                syn(room), number: room, on: 0, traceTime: UInt64(room)
            ).outcome
            // One bucket in some thousands is searched for a victim, so that finding one is rare.
            #expect(outcome.verdict == "dropped" || outcome.counters?["early_drop"] == 1)
            #expect(outcome.verdict != "dropped" || outcome.counters?["drop"] == 1)
        }
    }
}
