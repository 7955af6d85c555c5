import LiveKernel
import Report
import Testing
import Verify
import Wire

extension LiveTests {
    /// The kernel's shell selftests as packet sequences, through the live kernel and the model: those of
    /// spec packetdrill.md part B whose packets all come from outside the router.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct SelftestTwoArmTests {
        // MARK: B3

        private static let counting = """
            table ip t {
                chain t {
                    type filter hook input priority 0;
                    ct state new counter
                }
            }

            """
        private static let redirect = """
            table ip r {
                chain n {
                    type nat hook prerouting priority -100;
                    ip daddr 10.2.0.2 tcp dport 80 redirect to :8080
                }
            }

            """

        @Test(
            "packetdrill.md B3, two arms (3.5 s of pauses): a rule acts on a retried SYN only once its entry has expired"
        )
        func outlivesUnansweredEntries() throws {
            var x = try TwoArmExchange(
                sysctls: ["nf_conntrack_tcp_timeout_syn_sent": 3], rules: Self.counting)
            try x.o(.syn, seq: 1000, "NEW SYN_SENT U")
            try x.replaceRules(with: Self.counting + Self.redirect)
            for _ in 0..<3 {
                x.pause(seconds: 0.7)
                try x.o(.syn, seq: 1000, "NEW SYN_SENT U")
                #expect(x.last?.live.entry?.reply.sourcePort == 80)
            }
            x.pause(seconds: 1.4)
            try x.o(.syn, seq: 1000, "NEW SYN_SENT U local")
            #expect(x.last?.live.entry?.reply.sourcePort == 8080)
            #expect(x.last?.live.entry?.packets == [1, 0])
            try x.expectSameTables()
        }

        // MARK: B4

        private static let router1 = """
            table inet f {
                chain forward {
                    type filter hook forward priority 0;
                    ct state related counter accept
                    ct state new,established,untracked accept
                    counter drop
                }
                chain post {
                    type nat hook postrouting priority 100;
                    oifname "r" icmp type echo-request masquerade
                    oifname "r" icmpv6 type echo-request masquerade
                }
            }

            """

        @Test(
            "packetdrill.md B4, two arms: (a) a ping that fits: nothing is RELATED",
            arguments: Family.allCases)
        func pings(_ family: Family) throws {
            var x = try TwoArmExchange(family, rules: Self.router1)
            try Self.ping(&x, family, byteCount: 1000)
            let router = try Self.address(family == .ipv4 ? "10.2.0.1" : "fd02::1")
            let answer = PacketBuilder(family, from: try x.address(of: .r), to: router)
                .icmp(type: family == .ipv4 ? 0 : 129, identifier: 5, payload: Self.payload(1000))
            try x.send(answer, called: "R answers", "ESTABLISHED-reply")
            #expect(x.last?.live.out?.map(\.interface) == ["o"])
            try x.expectSameTables()
        }

        @Test(
            "packetdrill.md B4, two arms: (b, c) one that does not fit: the error is translated back",
            arguments: Family.allCases)
        func relatesTooBig(_ family: Family) throws {
            var x = try TwoArmExchange(family, rules: Self.router1)
            try Self.ping(&x, family, byteCount: 1300)
            let sent = try #require(x.last?.live.out?.first.map { Self.bytes($0.bytes) })
            let isIPv4 = family == .ipv4
            let error = PacketBuilder(
                family, from: try Self.address(isIPv4 ? "10.2.0.9" : "fd02::9"),
                to: try Self.address(isIPv4 ? "10.2.0.1" : "fd02::1")
            ).icmpError(
                type: isIPv4 ? 3 : 2, code: isIPv4 ? 4 : 0, mtu: 1280, about: sent,
                quoting: isIPv4 ? 548 : 1280 - 48)
            try x.send(error, called: "too big", "RELATED-reply U")
            let out = try #require(x.last?.live.out?.first)
            #expect(out.interface == "o")
            #expect(out.bytes.count / 2 == (isIPv4 ? 576 : 1280))
            try x.expectSameTables()
        }

        @Test(
            "packetdrill.md B4, two arms: (b) router 2 drops what does not fit before its rules see it"
        )
        func dropsTooBig() throws {
            let rules = """
                table ip f {
                    chain forward {
                        type filter hook forward priority 0;
                        ct state new counter
                    }
                }
                """
            var x = try TwoArmExchange(
                rules: rules,
                interfaces: [
                    "o: { addresses: [10.1.0.1/16] }",
                    "r: { addresses: [10.2.0.1/16], mtu: 1280, default: true }",
                ])
            try Self.ping(&x, .ipv4, byteCount: 1300, "NEW gone dropped")
            try x.expectSameTables()
        }

        /// O pings R; IPv4 pings may not be fragmented.
        private static func ping(
            _ x: inout TwoArmExchange, _ family: Family, byteCount: Int,
            _ expected: String = "NEW U"
        ) throws {
            var builder = PacketBuilder(
                family, from: try x.address(of: .o), to: try x.address(of: .r))
            builder.dontFragment = true
            let bytes = builder.icmp(
                type: family == .ipv4 ? 8 : 128, identifier: 5, payload: payload(byteCount))
            try x.send(bytes, called: "O pings", on: "o", expected)
        }

        private static func payload(_ byteCount: Int) -> [UInt8] {
            [UInt8](repeating: 7, count: byteCount)
        }

        private static func address(_ text: String) throws -> Address {
            try #require(Address.parse(text)).1
        }

        private static func bytes(_ hex: String) -> [UInt8] {
            var digits = hex[...]
            var bytes: [UInt8] = []
            while !digits.isEmpty {
                bytes.append(UInt8(digits.prefix(2), radix: 16) ?? 0)
                digits = digits.dropFirst(2)
            }
            return bytes
        }

        // MARK: B5

        @Test("packetdrill.md B5, two arms: (f) 2000 entries: count and listing agree, none twice")
        func listsThemAll() throws {
            var x = try TwoArmExchange()
            let (o, r) = (try x.address(of: .o), try x.address(of: .r))
            let builder = PacketBuilder(.ipv4, from: o, to: r)
            for number in 0..<UInt16(2000) {
                let bytes =
                    number % 2 == 0
                    ? builder.udp(from: 10_000 + number, to: 53)
                    : builder.tcp(from: 10_000 + number, to: 80, flags: .syn)
                try x.send(bytes, called: "\(number)")
            }
            #expect(x.last?.live.counters?["count"] == 2000)
            // Equal as sets of different keys: an entry listed twice would be one too many.
            try x.expectSameTables()
        }

        @Test("packetdrill.md B5, two arms: (g) without the only ct rule no new entry appears")
        func stopsTracking() throws {
            var x = try TwoArmExchange(rules: Self.counting)
            let (o, r) = (try x.address(of: .o), try x.address(of: .r))
            let builder = PacketBuilder(.ipv4, from: o, to: r)
            try x.send(builder.udp(from: 1, to: 53), called: "tracked", "NEW U")
            try x.replaceRules(
                with: """
                    table ip t {
                        chain t {
                            type filter hook input priority 0;
                            counter
                        }
                    }

                    """)
            let events = x.events
            try x.send(builder.udp(from: 2, to: 53), called: "not tracked", "NONE gone")
            try x.replaceRules(with: Self.counting)
            #expect(x.events == events)
            try x.send(builder.udp(from: 2, to: 53), called: "tracked again", "NEW U")
            try x.expectSameTables()
        }

        // MARK: B7

        struct Setting: CustomTestStringConvertible, Sendable {
            let table: String
            let family: Family

            var testDescription: String { "table \(table), \(family)" }
            var isIPv4: Bool { family == .ipv4 }
            var ns1: String { isIPv4 ? "10.0.1.99" : "dead:1::99" }
            var ns2: String { isIPv4 ? "10.0.2.99" : "dead:2::99" }
            var router1: String { isIPv4 ? "10.0.1.1" : "dead:1::1" }
            var echo: String { isIPv4 ? "icmp type echo-request" : "icmpv6 type echo-request" }

            func builder(_ source: String, _ destination: String) throws -> PacketBuilder {
                PacketBuilder(
                    family, from: try SelftestTwoArmTests.address(source),
                    to: try SelftestTwoArmTests.address(destination))
            }

            func ping(_ source: String, _ destination: String, id: UInt16) throws -> [UInt8] {
                try builder(source, destination).icmp(type: isIPv4 ? 8 : 128, identifier: id)
            }

            func answer(_ source: String, _ destination: String, id: UInt16) throws -> [UInt8] {
                try builder(source, destination).icmp(type: isIPv4 ? 0 : 129, identifier: id)
            }
        }

        static let settings = [
            Setting(table: "ip", family: .ipv4), Setting(table: "ip6", family: .ipv6),
            Setting(table: "inet", family: .ipv4), Setting(table: "inet", family: .ipv6),
        ]

        /// The router of the selftest between ns1 and ns2.
        private static func router(_ rules: String) throws -> TwoArmExchange {
            try TwoArmExchange(
                rules: rules,
                interfaces: [
                    "cli: { addresses: [10.0.1.1/24, 'dead:1::1/64'] }",
                    "srv: { addresses: [10.0.2.1/24, 'dead:2::1/64'] }",
                ])
        }

        private static func chain(
            _ table: String, _ kind: String, _ hook: String, _ priority: Int, _ rules: String
        ) -> String {
            """
            table \(table) \(kind)_\(hook) {
                chain c {
                    type \(kind) hook \(hook) priority \(priority);
                    \(rules)
                }
            }

            """
        }

        @Test(
            "packetdrill.md B7.3, two arms: masquerade, plain and fully-random: ns1 sees the router",
            arguments: settings, ["", " fully-random"])
        func masquerades(_ s: Setting, _ flag: String) throws {
            var x = try Self.router(
                Self.chain(
                    s.table, "nat", "postrouting", 100, "oifname \"cli\" masquerade\(flag)"))
            for id in UInt16(1)...2 {
                try x.send(s.ping(s.ns2, s.ns1, id: id), called: "ns2 pings \(id)", "NEW U")
                #expect(x.last?.live.entry?.reply.destination == s.router1)
                let drawn = try #require(x.last?.live.entry?.reply.id)
                try x.send(
                    s.answer(s.ns1, s.router1, id: UInt16(drawn)), called: "ns1 answers",
                    "ESTABLISHED-reply")
                #expect(x.last?.live.out?.map(\.interface) == ["srv"])
            }
            try x.expectSameTables()
        }

        @Test(
            "packetdrill.md B7.4, two arms: redirect: the router takes the ping",
            arguments: settings)
        func redirects(_ s: Setting) throws {
            var x = try Self.router(
                Self.chain(s.table, "nat", "prerouting", -100, "iifname \"srv\" \(s.echo) redirect")
            )
            try x.send(s.ping(s.ns2, s.ns1, id: 1), called: "ns2 pings", "NEW U local")
            let router2 = s.isIPv4 ? "10.0.2.1" : "dead:2::1"
            #expect(x.last?.live.entry?.reply.source == router2)
            try x.expectSameTables()
        }

        struct Cure: CustomTestStringConvertible, Sendable {
            let name: String
            let rules: String
            /// What becomes of the query to the router's own port.
            let sight: String

            var testDescription: String { name }
        }

        static let cures = [
            Cure(name: "no cure", rules: "", sight: "ESTABLISHED-reply"),
            Cure(
                name: "filter", rules: chain("ip", "filter", "forward", 0, "udp sport 1405 drop"),
                sight: "NEW U local"),
            Cure(
                name: "notrack",
                rules: chain(
                    "ip", "filter", "prerouting", -300, "ip daddr 10.0.1.1 udp dport 1405 notrack"),
                // The entry that casts the shadow is found, but not by the packet.
                sight: "UNTRACKED U local"),
        ]

        @Test("packetdrill.md B7.5, two arms: port shadow, and what cures it", arguments: cures)
        func shadowsPorts(_ cure: Cure) throws {
            var x = try Self.router(
                cure.rules
                    + Self.chain("ip", "nat", "postrouting", 100, "oifname \"cli\" masquerade"))
            let s = Self.settings[0]
            try x.send(s.builder(s.ns2, s.ns1).udp(from: 1405, to: 41_404), called: "ns2 sends")
            try x.send(
                s.builder(s.ns1, s.router1).udp(from: 41_404, to: 1405), called: "ns1 asks",
                cure.sight)
            try x.expectSameTables()
        }

        @Test("packetdrill.md B7.5, two arms: port shadow, cured by another port range")
        func castsNoShadow() throws {
            // The port is drawn: which one it is, is chance; that it is not 1405, is not.
            var x = try Self.router(
                Self.chain(
                    "ip", "nat", "postrouting", 100,
                    "oifname \"cli\" udp sport <= 1405 masquerade to :1406-65535 random"))
            let s = Self.settings[0]
            try x.send(
                s.builder(s.ns2, s.ns1).udp(from: 1405, to: 41_404), called: "ns2 sends", "NEW U")
            #expect(try #require(x.last?.live.entry?.reply.destinationPort) > 1405)
            try x.send(
                s.builder(s.ns1, s.router1).udp(from: 41_404, to: 1405), called: "ns1 asks",
                "NEW U local")
            try x.expectSameTables()
        }
    }
}
