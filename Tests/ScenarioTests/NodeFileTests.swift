import Conntrack
import Foundation
import Testing
import Wire

@testable import Scenario

/// The node file: what it may say, and what a mistake in it is answered with.
@Suite struct NodeFileTests {
    static func parse(_ text: String, files: [String: String] = [:]) throws(FileError) -> NodeFile {
        try NodeFile.parse(text, file: "node.yaml") { name, _ throws(NodeFile.Unreadable) in
            guard let text = files[name] else {
                throw NodeFile.Unreadable(reason: "no such file")
            }
            return text
        }
    }

    /// The findings of a file, as they are printed.
    static func findings(_ text: String, files: [String: String] = [:]) -> [String] {
        do {
            _ = try parse(text, files: files)
            return []
        } catch {
            return error.findings.map(\.description)
        }
    }

    static let head = "version: 1\ninterfaces:\n  lan: { addresses: [10.0.0.1/16] }\n"

    @Test("rules as iptables-save prints them, beside nftables text; findings have their places")
    func readsIptables() throws {
        let text =
            Self.head + """
                ruleset: |
                  table ip t { chain c { type filter hook forward priority 0; accept; } }
                iptables_save: |
                  *filter
                  :FORWARD DROP [0:0]
                  -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
                  COMMIT

                """
        let node = try Self.parse(text)
        #expect(node.configuration.ruleset.baseChains.count == 2)
        #expect(node.configuration.ruleset.needsTracking(.ipv4))
        let broken = text.replacing("ESTABLISHED", with: "OPEN").replacing(
            "accept;", with: "acept;")
        #expect(
            Self.findings(broken).map { $0.prefix { $0 != " " } }
                == ["node.yaml:5:63:", "node.yaml:9:37:"])
        #expect(
            Self.findings(text + "iptables_save_file: x\n", files: ["x": ""]).first?
                .contains("found 'iptables_save' and 'iptables_save_file', expected one of the two")
                == true)
    }

    @Test("everything a node file can say")
    func readsAll() throws {
        let node = try Self.parse(
            """
            version: 1
            kernel: "6.12"
            hz: 1000
            seed: 18446744073709551615
            tracking: always
            interfaces:
              lan: { addresses: [10.0.0.1/16, fd00::1/64], routes: [10.9.0.0/16], mtu: 9000 }
              wan:
                addresses:
                  - 203.0.113.1/24
                default: true
              spare:
            sysctl:
              net.netfilter.nf_conntrack_max: 65536
              nf_conntrack_udp_timeout: 7
            """)
        let configuration = node.configuration
        #expect(configuration.profile == .linux612)
        #expect(configuration.tickRate.hertz == 1000)
        #expect(configuration.seed == .max)
        #expect(configuration.tracking == .always)
        #expect(configuration.interfaces.map(\.name) == ["lan", "wan", "spare"])
        #expect(configuration.interfaces.map(\.isDefault) == [false, true, false])
        #expect(configuration.interfaces.map(\.mtu) == [9000, 1500, 1500])
        let lan = configuration.interfaces[0]
        #expect(lan.addresses.map(\.length) == [16, 64])
        #expect(lan.addresses[0].address == Address(ipv4: 0x0a00_0001))
        #expect(lan.routes == [Prefix(.ipv4, Address(ipv4: 0x0a09_0000), length: 16)])
        #expect(configuration.sysctl.max == 65_536)
        #expect(configuration.sysctl.udpTimeout == 7)
        #expect(
            node.sysctls.map(\.name) == [
                "net.netfilter.nf_conntrack_max", "nf_conntrack_udp_timeout",
            ])
    }

    @Test("what is left out has the kernel's defaults")
    func hasDefaults() throws {
        let configuration = try Self.parse(Self.head).configuration
        #expect(configuration.profile == .linux618)
        #expect(configuration.tickRate == .reference)
        #expect(configuration.seed == 1)
        #expect(configuration.tracking == .auto)
        #expect(configuration.sysctl == Sysctl())
    }

    /// Each row: what stands below the head, and the one finding it gives.
    static let mistakes: [(String, String)] = [
        (
            "interface: {}\n",
            "node.yaml:4:1: found 'interface', expected one of version, kernel, hz, seed, interfaces, sysctl, sysctl_file, ruleset, ruleset_file, iptables_save, iptables_save_file, tracking; did you mean 'interfaces'?"
        ),
        (
            "workloads: {}\n",
            "node.yaml:4:1: found 'workloads', expected a key of a node file (version, kernel, hz, seed, interfaces, sysctl, sysctl_file, ruleset, ruleset_file, iptables_save, iptables_save_file, tracking); 'workloads' belongs to scenario files"
        ),
        (
            "iptables: |\n  *nat\n",
            "node.yaml:4:1: found 'iptables', expected a key of a node file (version, kernel, hz, seed, interfaces, sysctl, sysctl_file, ruleset, ruleset_file, iptables_save, iptables_save_file, tracking); 'iptables' belongs to scenario files"
        ),
        ("kernel: 6.1\n", "node.yaml:4:9: found '6.1', expected one of \"6.18\", \"6.12\""),
        ("hz: 60\n", "node.yaml:4:5: found '60', expected one of 100, 250, 300, 1000"),
        (
            "seed: -1\n",
            "node.yaml:4:7: found '-1', expected a whole number from 0 to 18446744073709551615"
        ),
        (
            "tracking: allways\n",
            "node.yaml:4:11: found 'allways', expected one of auto, always; did you mean 'always'?"
        ),
        (
            "sysctl: 5\n",
            "node.yaml:4:9: found '5', expected 'name: value' lines, as 'net.netfilter.nf_conntrack_max: 65536'"
        ),
        (
            "sysctl: { nf_conntrack_mx: 5 }\n",
            "node.yaml:4:11: found 'nf_conntrack_mx', expected a setting of connection tracking, as net.netfilter.nf_conntrack_max; did you mean 'net.netfilter.nf_conntrack_max'?"
        ),
        (
            "sysctl: { nf_conntrack_max: many }\n",
            "node.yaml:4:29: found 'many', expected a whole number from 0 to 2147483647"
        ),
        (
            "sysctl: { nf_conntrack_udp_timeout: 8589935 }\n",
            "node.yaml:4:37: found '8589935', expected a whole number from 0 to 8589934"
        ),
        (
            "hz: 1000\nsysctl: { nf_conntrack_udp_timeout: 2147484 }\n",
            "node.yaml:5:37: found '2147484', expected a whole number from 0 to 2147483"
        ),
        (
            "sysctl: { nf_conntrack_udp_timeout: +5 }\n",
            "node.yaml:4:37: found '+5', expected a whole number from 0 to 8589934"
        ),
        (
            "sysctl: { net.netfilter.nf_conntrack_count: 1 }\n",
            "node.yaml:4:11: found 'net.netfilter.nf_conntrack_count', expected a setting; this one can only be read"
        ),
        (
            "sysctl_file: absent.conf\n",
            "node.yaml:4:14: found 'absent.conf' (no such file), expected a readable file"
        ),
        (
            "ruleset: x\nruleset_file: y\n",
            "node.yaml:5:15: found 'ruleset' and 'ruleset_file', expected one of the two"
        ),
        (
            "seed: 1\nseed: 2\n",
            "node.yaml:4:1: found the key 'seed' more than once, expected each key once"
        ),
    ]

    @Test(
        "a mistake is answered with its place, what was found and what was expected",
        arguments: mistakes)
    func answersMistakes(_ text: String, _ finding: String) {
        #expect(Self.findings(Self.head + text) == [finding])
    }

    static let interfaceMistakes: [(String, String)] = [
        (
            "{}",
            "found a mapping, expected at least one interface, as 'name: { addresses: [10.0.0.1/24] }'"
        ),
        (
            "[lan]",
            "found a list, expected at least one interface, as 'name: { addresses: [10.0.0.1/24] }'"
        ),
        (
            "{ a/b: {} }",
            "found 'a/b', expected an interface name of 1 to 15 visible characters, without '/'"
        ),
        (
            "{ much-too-long-name: {} }",
            "found 'much-too-long-name', expected an interface name of 1 to 15 visible characters, without '/'"
        ),
        (
            "{ a: { adresses: [] } }",
            "found 'adresses', expected one of addresses, routes, mtu, default; did you mean 'addresses'?"
        ),
        (
            "{ a: { addresses: [10.0.0.1] } }",
            "found '10.0.0.1', expected an address with its prefix length, as 10.0.0.1/24; did you mean '10.0.0.1/24'?"
        ),
        (
            "{ a: { addresses: [10.0.0.1/33] } }",
            "found '10.0.0.1/33', expected an address with its prefix length, as 10.0.0.1/24"
        ),
        (
            "{ a: { routes: [10.9.1.0/16] } }",
            "found '10.9.1.0/16', expected a network, without bits behind its prefix; did you mean '10.9.0.0/16'?"
        ),
        ("{ a: { mtu: 67 } }", "found '67', expected a whole number from 68 to 65535"),
        ("{ a: { default: yes } }", "found 'yes', expected true or false"),
        (
            "{ a: { default: true }, b: { default: true } }",
            "found a second default interface, 'b', expected one 'default: true'"
        ),
    ]

    @Test("mistakes in interfaces", arguments: interfaceMistakes)
    func answersInterfaceMistakes(_ text: String, _ finding: String) {
        let findings = Self.findings("version: 1\ninterfaces: \(text)\n")
        #expect(findings.count == 1)
        #expect(findings.first?.hasSuffix(": " + finding) == true, "\(findings)")
    }

    @Test("one run shows all mistakes, in the order of the file")
    func showsAll() {
        let findings = Self.findings(
            """
            version: 2
            hz: 7
            interfaces:
              lan: { mtu: x, adresses: [] }
            sysctl:
              nf_conntrack_max: -1
              nf_conntrack_bukkets: 1
            """)
        #expect(
            findings.map { $0.split(separator: " ")[0] } == [
                "node.yaml:1:10:", "node.yaml:2:5:", "node.yaml:4:15:", "node.yaml:4:18:",
                "node.yaml:6:21:", "node.yaml:7:3:",
            ])
    }

    @Test("a file without version and interfaces says both")
    func needsVersionAndInterfaces() {
        #expect(
            Self.findings("seed: 1\n") == [
                "node.yaml:1:1: found no 'version', expected 'version: 1'",
                "node.yaml:1:1: found no 'interfaces', expected at least one interface",
            ])
        #expect(Self.findings("") == ["node.yaml:1:1: found nothing, expected 'version: 1'"])
        #expect(
            Self.findings("- a\n") == ["node.yaml:1:1: found a list, expected 'key: value' lines"])
    }

    @Test("text that is no YAML is answered with its place")
    func answersBrokenYAML() {
        let findings = Self.findings("version: 1\ninterfaces: { lan: [\n")
        #expect(findings.count == 1)
        #expect(findings[0].hasPrefix("node.yaml:3:1: found text that is no YAML ("))
    }

    @Test("more interfaces than an index can tell apart are refused")
    func limitsInterfaces() {
        let names = (0...NodeFile.Limits.interfaces).map { "i\($0): {}" }
        #expect(
            Self.findings("version: 1\ninterfaces: { \(names.joined(separator: ", ")) }\n")
                == ["node.yaml:2:13: found 251 interfaces, expected at most 250"])
    }

    // MARK: Settings of a host

    @Test("sysctl_file: what does not concern tracking is passed over and counted; sysctl wins")
    func readsSysctlFile() throws {
        let file = """
            # a comment
            ; another
            abi.vsyscall32 = 1
            net.ipv4.ip_forward = 1
            net.netfilter.nf_conntrack_count = 512
            net.netfilter.nf_conntrack_dccp_loose = 1
            net.netfilter.nf_conntrack_max = 1000
            net.netfilter.nf_conntrack_udp_timeout=11
            -net.netfilter.nf_conntrack_acct = 1
            net/netfilter/nf_conntrack_buckets = 2048
            net.ipv4.ipfrag_time = 9

            """
        let node = try Self.parse(
            Self.head + "sysctl_file: host.conf\nsysctl: { nf_conntrack_max: 2000 }\n",
            files: ["host.conf": file])
        #expect(node.configuration.sysctl.max == 2000)
        #expect(node.configuration.sysctl.udpTimeout == 11)
        #expect(node.configuration.sysctl.accounting)
        #expect(node.configuration.sysctl.buckets == 2048)
        #expect(node.configuration.sysctl.ipfragTime == 9)
        #expect(
            node.notes == [
                "host.conf: 2 names that do not concern connection tracking ignored",
                "host.conf: not part of the model, ignored: net.netfilter.nf_conntrack_count, net.netfilter.nf_conntrack_dccp_loose",
            ])
    }

    @Test("sysctl_file: a bad value and a line that is none have their own file and line")
    func answersSysctlFile() {
        let findings = Self.findings(
            Self.head + "sysctl_file: host.conf\n",
            files: ["host.conf": "net.netfilter.nf_conntrack_acct = 2\nnonsense\n"])
        #expect(
            findings == [
                "host.conf:1:35: found '2', expected a whole number from 0 to 1",
                "host.conf:2:1: found 'nonsense', expected 'name = value'",
            ])
    }

    // MARK: Rulesets

    @Test("a mistake in an embedded ruleset has the node file's line and column")
    func placesRulesetMistakes() {
        let findings = Self.findings(
            Self.head
                + "ruleset: |\n  table ip x {\n    chain c {\n      tcp dprot 80 accept\n    }\n  }\n"
        )
        #expect(findings.count == 1)
        #expect(findings.first?.hasPrefix("node.yaml:7:11: found 'dprot'") == true, "\(findings)")
    }

    @Test("of a quoted ruleset, the place of the quote and the line inside")
    func placesQuotedRulesets() {
        let findings = Self.findings(
            Self.head + "ruleset: \"table ip x {\\n chain c { tcp dprot 80 accept; }\\n}\"\n")
        #expect(findings.count == 1)
        #expect(findings.first?.hasPrefix("node.yaml:4:10: found 'dprot'") == true)
        #expect(findings.first?.contains("(line 2 of the ruleset)") == true)
    }

    @Test("of a ruleset file, its own name and line")
    func placesRulesetFiles() {
        let findings = Self.findings(
            Self.head + "ruleset_file: gw.nft\n",
            files: ["gw.nft": "table ip x {\n  chian c { }\n}\n"])
        #expect(findings.first?.hasPrefix("gw.nft:2:3: found 'chian'") == true, "\(findings)")
    }

    @Test("rules know the node's interfaces")
    func knowsInterfaces() throws {
        let node = try Self.parse(
            Self.head
                + "ruleset: |\n  table ip x { chain c { type filter hook forward priority 0; iifname \"lan\" drop; }; }\n"
        )
        #expect(node.configuration.ruleset.baseChains.count == 1)
        #expect(node.rulesetText?.contains("iifname") == true)
    }

    // MARK: Files on disk

    @Test("paths inside a node file start from its folder")
    func resolvesPaths() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let node = folder.appending(path: "node.yaml")
        try Data((Self.head + "sysctl_file: host.conf\n").utf8).write(to: node)
        try Data("nf_conntrack_max = 77\n".utf8).write(to: folder.appending(path: "host.conf"))
        #expect(try NodeFile.read(node.path).configuration.sysctl.max == 77)
        let missing = folder.appending(path: "absent.yaml").path
        #expect(throws: FileError.self) { try NodeFile.read(missing) }
    }

    @Test("every node file of the recordings is read")
    func readsRecordings() throws {
        let corpus = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Corpus")
        let names = try FileManager.default.contentsOfDirectory(atPath: corpus.path)
            .filter { $0.hasSuffix(".node.yaml") }
        #expect(names.count >= 61)
        for name in names.sorted() {
            let node = try NodeFile.read(corpus.appending(path: name).path)
            #expect(node.configuration.interfaces.map(\.name) == ["lan", "wan"], "\(name)")
            // The regression traces have rules and modes of their own.
            guard name < "0050" else { continue }
            #expect(node.configuration.tracking == .always, "\(name)")
            #expect(node.rulesetText?.contains("table inet silent") == true, "\(name)")
        }
    }
}
