import Testing
import Wire

@testable import Conntrack

/// `log` rules in the kernel log, against lines of a live 6.18 kernel: `log_all_netns`, tun devices.
@Suite("Rules: what log writes")
struct RulesLogTests {
    private static func node(_ sources: [RulesetSource]) throws -> Node {
        func prefix(_ text: String) throws -> Prefix {
            let (family, address, length) = try #require(Address.parsePrefix(text))
            return Prefix(family, address, length: length)
        }
        var configuration = NodeConfiguration()
        configuration.tracking = .always
        configuration.interfaces = [
            Interface(name: "lan", addresses: [try prefix("10.0.0.1/16")]),
            Interface(name: "wan", addresses: [try prefix("203.0.113.1/24")], isDefault: true),
        ]
        configuration.ruleset = try Ruleset(sources, interfaces: ["lan", "wan"])
        return Node(configuration)
    }

    private static func nftables(_ hook: String, _ rule: String) -> [RulesetSource] {
        let text = "table ip t {\nchain c {\ntype filter hook \(hook)\n\(rule)\n}\n}\n"
        return [RulesetSource(.nftables, text, file: "t.nft")]
    }

    private static func iptables(_ options: String) -> [RulesetSource] {
        let text = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j LOG \(options)\nCOMMIT\n"
        return [RulesetSource(.iptablesSave, text, file: "t.save")]
    }

    /// A SYN with an IPv4 and a TCP option.
    private static let syn: [UInt8] = {
        var way = PacketBuilder(
            .ipv4, from: Address(ipv4: 0x0A00_0002), to: Address(ipv4: 0xCB00_7109))
        way.options = [1, 1, 1, 0]
        way.identification = 4660
        return way.tcp(
            from: 1, to: 80, flags: .syn, sequence: 1000, window: 5000,
            options: [.maximumSegmentSize(1460)])
    }()

    private static func lines(_ sources: [RulesetSource]) throws -> [KernelLog.Line] {
        var node = try node(sources)
        _ = node.receive(syn.span, on: InterfaceIndex(0), at: .start)
        return node.kernelLog.lines
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var nftables: String
        var iptables: String
        /// What stands in the three places that options change.
        var shown: (ip: String, sequence: String, tcp: String)
        var level = RuleLog.Level.warn
        var testDescription: String { nftables }
    }

    static let rows = [
        Row(nftables: "log", iptables: "", shown: ("", "", "")),
        Row(
            nftables: "log level info", iptables: "--log-level 6", shown: ("", "", ""), level: .info
        ),
        Row(
            nftables: "log level emerg", iptables: "--log-level panic", shown: ("", "", ""),
            level: .emerg),
        Row(
            nftables: "log flags tcp sequence", iptables: "--log-tcp-sequence",
            shown: ("", "SEQ=1000 ACK=0 ", "")),
        Row(
            nftables: "log flags tcp sequence,options",
            iptables: "--log-tcp-sequence --log-tcp-options",
            shown: ("", "SEQ=1000 ACK=0 ", "OPT (020405B4) ")),
        Row(
            nftables: "log flags ip options", iptables: "--log-ip-options",
            shown: ("OPT (01010100) ", "", "")),
        Row(nftables: "log flags skuid", iptables: "--log-uid", shown: ("", "", "")),
        Row(nftables: "log flags ether", iptables: "--log-macdecode", shown: ("", "", "")),
        Row(
            nftables: "log flags all",
            iptables: "--log-tcp-sequence --log-tcp-options --log-ip-options --log-uid",
            shown: ("OPT (01010100) ", "SEQ=1000 ACK=0 ", "OPT (020405B4) ")),
    ]

    @Test("A line shows what its flags ask for, in both languages", arguments: rows)
    func flags(_ row: Row) throws {
        let expected =
            "IN=lan OUT=wan MAC= SRC=10.0.0.2 DST=203.0.113.9 LEN=48 TOS=0x00 PREC=0x00 TTL=63 "
            + "ID=4660 \(row.shown.ip)PROTO=TCP SPT=1 DPT=80 \(row.shown.sequence)WINDOW=5000 "
            + "RES=0x00 SYN URGP=0 \(row.shown.tcp)"
        for sources in [
            Self.nftables("forward priority 0", row.nftables), Self.iptables(row.iptables),
        ] {
            let lines = try Self.lines(sources)
            #expect(lines.map(\.text) == [expected])
            #expect(lines.map(\.level) == [row.level])
        }
    }

    @Test("A forwarded packet's ingress is named to the end; one of the machine's own has none")
    func interfaces() throws {
        let ways = [
            ("prerouting", "IN=lan OUT= MAC= SRC"), ("forward", "IN=lan OUT=wan MAC= SRC"),
            ("postrouting", "IN=lan OUT=wan MAC= SRC"),
        ]
        for (hook, beginning) in ways {
            let lines = try Self.lines(Self.nftables("\(hook) priority 0", "log prefix \"x: \""))
            #expect(lines.count == 1)
            #expect(lines.allSatisfy { $0.text.hasPrefix("x: \(beginning)") })
        }
    }

    @Test("The answer of a reject rule is logged on its way, as it is")
    func answers() throws {
        let text = """
            table ip t {
            chain f {
            type filter hook forward priority 0
            meta l4proto tcp reject with tcp reset
            }
            chain o {
            type filter hook output priority 0
            log flags all
            }
            }

            """
        let lines = try Self.lines([RulesetSource(.nftables, text, file: "t.nft")])
        #expect(
            lines.map(\.text) == [
                "IN= OUT=lan SRC=203.0.113.9 DST=10.0.0.2 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=0 DF "
                    + "PROTO=TCP SPT=80 DPT=1 SEQ=0 ACK=1001 WINDOW=0 RES=0x00 ACK RST URGP=0 "
            ])
    }
}
