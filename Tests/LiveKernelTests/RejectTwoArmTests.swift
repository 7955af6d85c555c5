import LiveKernel
import Report
import Testing
import Verify
import Wire

extension LiveTests {
    /// Who a `reject` rule answers, and how, on both arms: spec policy.md §6.
    ///
    /// The arms are compared byte for byte; the table says what the live kernel does.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct RejectTwoArmTests {
        struct Row: Sendable, CustomTestStringConvertible {
            var name: String
            var rule: String
            var hook: String
            var packet: [UInt8]
            /// The interface it leaves by and the beginning of its transport, in hex; `nil`: none.
            var answer: String?
            var testDescription: String { "\(name), \(rule) at \(hook)" }

            init(
                _ name: String, _ rule: String, at hook: String = "forward priority 0",
                _ packet: [UInt8], _ answer: String?
            ) {
                self.name = name
                self.rule = rule
                self.hook = hook
                self.packet = packet
                self.answer = answer
            }
        }

        private static func way(_ source: String, _ destination: String) -> PacketBuilder {
            // Texts of this file; one that could not be read would show as 0.
            let (family, from) = Address.parse(source) ?? (.ipv4, .zero)
            return PacketBuilder(
                family, from: from, to: Address.parse(destination)?.1 ?? .zero)
        }

        private static let four = way("10.1.0.2", "10.2.0.2")
        private static let six = way("fd01::2", "fd02::2")
        private static let local = way("10.1.0.2", "10.1.0.1")
        private static let broadcast = way("10.1.0.2", "10.1.255.255")

        private static func wrong(_ way: PacketBuilder) -> PacketBuilder {
            var way = way
            way.overrides.transportChecksum = 0x1234
            return way
        }

        private static func marked(_ way: PacketBuilder) -> PacketBuilder {
            var way = way
            way.typeOfService = 0x2e
            return way
        }

        private static let reset = "meta l4proto tcp reject with tcp reset"

        static let rows: [Row] = [
            Row("SYN", reset, four.tcp(from: 9, to: 80, flags: .syn), "o 00500009"),
            Row("SYN, IPv6", reset, six.tcp(from: 9, to: 80, flags: .syn), "o 00500009"),
            Row("RST", reset, four.tcp(from: 9, to: 80, flags: .rst), nil),
            Row("wrong checksum", reset, wrong(four).tcp(from: 9, to: 80, flags: .syn), nil),
            Row("wrong checksum, IPv6", reset, wrong(six).tcp(from: 9, to: 80, flags: .syn), nil),
            Row("datagram", "reject", four.udp(from: 9, to: 80), "o 0303"),
            Row("datagram, IPv6", "reject", six.udp(from: 9, to: 80), "o 0104"),
            Row("datagram with DSCP", "reject", marked(four).udp(from: 9, to: 80), "o 0303"),
            Row("wrong checksum", "reject", wrong(four).udp(from: 9, to: 80), nil),
            Row(
                "long datagram", "reject",
                four.udp(from: 9, to: 80, payload: [UInt8](repeating: 1, count: 1200)), "o 0303"),
            Row(
                "long datagram, IPv6", "reject",
                six.udp(from: 9, to: 80, payload: [UInt8](repeating: 1, count: 1400)), "o 0104"),
            Row(
                "SYN", "reject with icmp type net-prohibited",
                four.tcp(from: 9, to: 80, flags: .syn), "o 0309"),
            Row(
                "SYN, IPv6", "reject with icmpv6 type reject-route",
                six.tcp(from: 9, to: 80, flags: .syn), "o 0106"),
            Row(
                "datagram", "reject with icmpx type admin-prohibited", four.udp(from: 9, to: 80),
                "o 030d"),
            Row("ping", "reject", four.icmp(type: 8, identifier: 5, sequence: 1), "o 0303"),
            Row(
                "an ICMP error", "reject",
                four.icmpError(
                    type: 3, code: 1, about: way("10.2.0.2", "10.1.0.2").udp(from: 1, to: 2)), nil),
            Row(
                "datagram to the machine", "reject", at: "input priority 0",
                local.udp(from: 9, to: 80), "o 0303"),
            Row(
                "SYN to the machine", reset, at: "input priority 0",
                local.tcp(from: 9, to: 80, flags: .syn), "o 00500009"),
            Row(
                "broadcast", "reject", at: "input priority 0", broadcast.udp(from: 9, to: 80), nil),
            Row(
                "SYN before the tracker", reset, at: "prerouting priority -350",
                four.tcp(from: 9, to: 80, flags: .syn), "o 00500009"),
            Row(
                "datagram before routing", "reject", at: "prerouting priority -50",
                four.udp(from: 9, to: 80), "o 0303"),
        ]

        @Test("policy.md case 6: the arms give the same answer", arguments: rows)
        func answers(_ row: Row) throws {
            for tracking in [
                "", "chain t {\ntype filter hook forward priority 50\nct state new\n}\n",
            ] {
                var x = try TwoArmExchange(
                    rules:
                        "table inet t {\nchain c {\ntype filter hook \(row.hook)\n\(row.rule)\n}\n"
                        + tracking + "}")
                let step = try x.send(row.packet, called: row.name)
                let answer = step.live.answers?.first
                guard let expected = row.answer else {
                    #expect(answer == nil)
                    continue
                }
                let sent = try #require(answer)
                let header = sent.bytes.hasPrefix("4") ? 40 : 80
                let transport = sent.bytes.dropFirst(header)
                #expect("\(sent.interface) \(transport)".hasPrefix(expected))
                #expect(step.live.verdict == "dropped")
            }
        }

        @Test("policy.md case 6d: a known flow is closed, and its event comes with the answer")
        func closes() throws {
            var x = try TwoArmExchange(
                rules: """
                    table inet t {
                    chain c {
                    type filter hook forward priority 0
                    ct state established tcp flags psh reject with tcp reset
                    }
                    }
                    """)
            try x.o(.syn, seq: 0, "NEW SYN_SENT U")
            try x.r([.syn, .ack], seq: 0, ack: 1, "ESTABLISHED-reply SYN_RECV")
            try x.o(.ack, seq: 1, ack: 1, "ESTABLISHED ESTABLISHED A")
            let before = x.events.count
            let bytes = Self.four.tcp(
                from: 1000, to: 80, flags: [.ack, .psh], sequence: 1, acknowledgment: 1)
            let step = try x.send(bytes, called: "O: PSH")
            #expect(step.live.answers?.count == 1)
            #expect(step.live.entry?.tcp?.state == "CLOSE")
            #expect(x.events[before...] == ["UPDATE"])
        }
    }
}
