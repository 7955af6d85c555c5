import Testing

@testable import Scenario

/// What is said about files that are wrong: every mistake of a file in one run, each with its place.
@Suite struct BrokenScenarioTests {
    struct Broken: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        var wanted: [String]

        var testDescription: String { name }
    }

    private static let small = ScenarioExample.small

    /// The small scenario with the line that begins with `key` replaced.
    private static func changing(_ key: String, to line: String) -> String {
        small.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.trimmed.hasPrefix(key) ? "\($0.prefix { $0 == " " })\(line)" : String($0) }
            .joined(separator: "\n")
    }

    static let files: [Broken] = [
        Broken(
            name: "nothing at all", text: "",
            wanted: ["f.yaml:1:1: found nothing, expected 'version: 1'"]),
        Broken(
            name: "a list", text: "- a\n",
            wanted: ["f.yaml:1:1: found a list, expected 'key: value' lines"]),
        Broken(
            name: "no YAML", text: "a: [\n",
            wanted: [
                "f.yaml:2:1: found text that is no YAML (did not find expected node content), "
                    + "expected 'key: value' lines"
            ]),
        Broken(
            name: "a key twice", text: small + "name: other\n",
            wanted: ["f.yaml:2:1: found the key 'name' more than once, expected each key once"]),
        Broken(
            name: "what is missing", text: "version: 2\nname: x\n",
            wanted: [
                "f.yaml:1:1: found a scenario without 'about', expected 'about: …' (One sentence, "
                    + "shown by 'ctlab list')",
                "f.yaml:1:1: found a scenario without 'duration', expected 'duration: …' (Simulated "
                    + "time)",
                "f.yaml:1:1: found a scenario without 'topology', expected 'topology: …' (Machines, "
                    + "links and routes)",
                "f.yaml:1:10: found '2', expected version 1",
            ]),
        Broken(
            name: "a slip in a key", text: changing("duration", to: "durations: 60s"),
            wanted: [
                "f.yaml:4:1: found 'durations', expected a key of a scenario; did you mean "
                    + "'duration'?"
            ]),
        Broken(
            name: "units forgotten",
            text: changing("duration", to: "duration: 60")
                + "workloads: { w: { from: clients, to: web:443/tcp, rate: 200, "
                + "flow: { request: 800, hold: 5 } } }\n",
            wanted: [
                "f.yaml:4:11: found '60', expected a duration with its unit, as 300ms (ns, us, ms, "
                    + "s, min, h, d); did you mean '60s'?",
                "f.yaml:13:57: found '200', expected a rate with its unit, as 4000/s (/s, /min, /h, "
                    + "k/s, M/s); did you mean '200/s'?",
                "f.yaml:13:79: found '800', expected a size with its unit, as 20kB (B, kB, MB, GB, "
                    + "KiB, MiB, GiB); did you mean '800B'?",
                "f.yaml:13:90: found '5', expected a duration with its unit, as 300ms (ns, us, ms, "
                    + "s, min, h, d); did you mean '5s'?",
            ]),
        Broken(
            name: "links and workloads to nobody",
            text: changing("- { endpoints: [gw, web]", to: "- { endpoints: [gv, web] }")
                + "workloads: { w: { from: client, to: wep:443/tcp, rate: 1/s } }\n",
            wanted: [
                "f.yaml:12:21: found 'gv', expected a node of this file (clients, gw, web); did you "
                    + "mean 'gw'?",
                "f.yaml:13:25: found 'client', expected a node of this file (clients, gw, web); did "
                    + "you mean 'clients'?",
                "f.yaml:13:37: found 'wep', expected a node (clients, gw, web), a service or an "
                    + "address; did you mean 'web'?",
            ]),
        Broken(
            name: "settings",
            text: changing(
                "gw:",
                to: "gw: { role: router, kernel: \"6.18\", sysctl: "
                    + "{ net.netfilter.nf_conntrack_mx: 5, nf_conntrack_max: lots, "
                    + "nf_conntrack_count: 3, nf_conntrack_dccp_loose: 1, tcp_syn_retrie: 4 } }"),
            wanted: [
                "f.yaml:8:51: found 'net.netfilter.nf_conntrack_mx', expected a setting of "
                    + "connection tracking or of sockets, as net.netfilter.nf_conntrack_max; did "
                    + "you mean 'net.netfilter.nf_conntrack_max'?",
                "f.yaml:8:103: found 'lots', expected a whole number from 0 to 2147483647",
                "f.yaml:8:109: found 'nf_conntrack_count', expected a setting; this one can only be "
                    + "read",
                "f.yaml:8:132: found 'nf_conntrack_dccp_loose', expected a setting of Linux 6.18; "
                    + "this one exists in 6.12",
                "f.yaml:8:160: found 'tcp_syn_retrie', expected a setting of connection tracking or "
                    + "of sockets, as net.netfilter.nf_conntrack_max; did you mean "
                    + "'tcp_syn_retries'?",
            ]),
        Broken(
            name: "a ruleset with a slip",
            text: changing(
                "gw:",
                to: "gw:\n      role: router\n      nftables: |\n        table inet f {\n"
                    + "          chain c {\n            type filter hook forward priority filter;\n"
                    + "            ct stat new accept\n          }\n        }"),
            wanted: [
                "f.yaml:14:16: found 'stat', expected one of the supported keys of 'ct': state, "
            ]),
        Broken(
            name: "addresses and ports",
            text: changing(
                "web:",
                to: "web: { addresses: [198.18.128.300], listen: [443, 80/tpc, 0/tcp, "
                    + "{ behaviour: silent }], cpus: 0 }"),
            wanted: [
                "f.yaml:9:24: found '198.18.128.300', expected an address or network, as 10.0.0.1, "
                    + "10.0.0.1/24 or 198.18.0.0/24",
                "f.yaml:9:50: found '443', expected a port with its protocol, tcp or udp; did you "
                    + "mean '443/tcp'?",
                "f.yaml:9:55: found '80/tpc', expected a port with its protocol, tcp or udp; did you "
                    + "mean '80/tcp'?",
                "f.yaml:9:63: found '0/tcp', expected a port with its protocol, as 443/tcp",
                "f.yaml:9:70: found a listener without 'port', expected 'port: …' (Port and "
                    + "protocol, as 443/tcp or 8000-8100/udp)",
                "f.yaml:9:100: found '0', expected a whole number from 1 to 1024",
            ]),
        Broken(
            name: "stages longer than the run",
            text: small + "workloads: { w: { from: clients, to: web:443/tcp, start: 10s, "
                + "stages: [{ for: 30s, rate: 1/s }, { for: 30s, rate: 1/s..5/s }] } }\n",
            wanted: [
                "f.yaml:13:71: found stages of 'w' until 70s, expected stages within the duration "
                    + "of 60s"
            ]),
        Broken(
            name: "bursts, and a rate of the timeline, that no address pool can serve",
            text: small + "workloads: { w: { from: clients, to: web:443/tcp, "
                + "arrivals: \"bursts(size=200k, every=1s)\" }, "
                + "v: { from: clients, to: web:443/tcp, rate: 10/s } }\n"
                + "timeline: [{ at: 10s, workload: { v: 300k/s } }]\n",
            wanted: [
                "f.yaml:13:14: found bursts of 200000 with a port taken for 60s each, which needs "
                    + "12000000 source ports at once, expected at most 7227392 (",
                "f.yaml:13:137: found 300000/s with a port taken for 60s each, which needs 18000000 "
                    + "source ports at once, expected at most 7227392 (",
            ]),
        Broken(
            name: "a failover of a cluster's node",
            text: "version: 1\nname: x\nabout: An example.\nduration: 60s\ntopology:\n  nodes:\n"
                + "    n1: { role: kubernetes-node }\n    n2: { role: kubernetes-node }\n"
                + "timeline: [{ at: 10s, failover: { from: n1, to: n2 } }]\n",
            wanted: [
                "f.yaml:9:33: found a failover with 'n1', a kubernetes-node, expected two routers; "
                    + "a cluster's node is killed, and what leads to services stays"
            ]),
        Broken(
            name: "a rate no address pool can serve",
            text: small + "workloads: { w: { from: gw, to: web:443/tcp, rate: 1k/s }, "
                + "v: { from: clients, to: web:443/tcp, rate: 300k/s } }\n",
            wanted: [
                "f.yaml:13:14: found the source 'gw' without addresses, expected 'addresses:' at "
                    + "the node",
                "f.yaml:13:103: found 300000/s with a port taken for 60s each, which needs 18000000 "
                    + "source ports at once, expected at most 7227392 (256 addresses × 28232 ports × "
                    + "1 destinations); more addresses, or a lower load",
            ]),
        Broken(
            name: "a load between families",
            text: changing("web:", to: "web: { addresses: ['2001:db8::10'], listen: [443/tcp] }")
                + "workloads:\n  w: { from: clients, to: web:443/tcp, rate: 1/s }\n"
                + "  v: { from: clients, to: web:443/udp, kind: udp-flood, rate: 1/s }\n"
                + "  u: { from: clients, to: web:443/udp, kind: udp-flood, rate: 1/s, "
                + "spoof: ['2001:db8:1::/120'] }\n",
            wanted: [
                "f.yaml:14:3: found IPv4 addresses as the source, IPv6 addresses as the target, "
                    + "expected a family that both have",
                "f.yaml:15:3: found IPv4 addresses as the source, IPv6 addresses as the target, "
                    + "expected a family that both have",
            ]),
        Broken(
            name: "routes that loop from a moment on",
            text: small
                + """
                timeline:
                  - { at: 5s, route: { on: gw, to: 198.18.128.0/24, via: web } }
                  - { at: 10s, route: { on: gw, to: 198.18.128.0/24, via: clients } }
                  - { at: 20s, route: { on: web, to: clients, via: clients } }

                """,
            wanted: [
                "f.yaml:15:5: found routes that loop (gw > clients > gw), expected a path to "
                    + "198.18.128.0/24",
                "f.yaml:16:52: found 'clients', which is no neighbour of 'web', expected a node "
                    + "with a link to 'web'",
            ]),
        Broken(
            name: "routes that loop",
            text: small + "  routes: [{ on: gw, to: 198.18.128.0/24, via: clients }, "
                + "{ on: web, to: clients, via: clients }]\n",
            wanted: [
                "f.yaml:13:12: found routes that loop (gw > clients > gw), expected a path to "
                    + "198.18.128.0/24",
                "f.yaml:13:88: found 'clients', which is no neighbour of 'web', expected a node with "
                    + "a link to 'web'",
            ]),
        Broken(
            name: "no way there",
            text: changing("- { endpoints: [gw, web]", to: "- { endpoints: [clients, web] }")
                + "workloads: { w: { from: web, to: clients/icmp, rate: 1/s }, "
                + "v: { from: clients, to: gw:22/tcp, rate: 1/s } }\n",
            wanted: [
                "f.yaml:13:61: found the target 'gw' without addresses, expected 'addresses:' at "
                    + "the node"
            ]),
        Broken(
            name: "an island",
            text: changing("- { endpoints: [gw, web]", to: "- { endpoints: [web, web] }")
                + "workloads: { w: { from: clients, to: web:443/tcp, rate: 1/s } }\n",
            wanted: [
                "f.yaml:13:14: found no path from 'clients' to 'web', expected links that join them "
                    + "(only routers and kubernetes-nodes pass packets on)"
            ]),
        Broken(
            name: "verbs of the timeline",
            text: small
                + "timeline:\n  - { at: 90s, flush: gw }\n  - { at: 1s, flush: gw, note: x }\n"
                + "  - { flush: gw }\n  - { at: 2s }\n  - { at: 3s, fush: gw }\n"
                + "  - { at: 4s, scale: { of: web, to: 3 } }\n"
                + "  - { at: 5s, link: { between: [clients, web], down: true } }\n",
            wanted: [
                "f.yaml:14:11: found an event at 90s, expected a time within the duration of 60s",
                "f.yaml:15:5: found 'flush' and 'note' in one event, expected 'at' and exactly one of "
                    + "sysctl, nftables, ruleset_file, rollout, scale, kill, failover, route, link, "
                    + "workload, flush, delete, note",
                "f.yaml:16:5: found an event without 'at', expected 'at: …' (When, from the run's "
                    + "start)",
                "f.yaml:17:5: found an event without a verb, expected 'at' and exactly one of "
                    + "sysctl, nftables, ruleset_file, rollout, scale, kill, failover, route, link, "
                    + "workload, flush, delete, note",
                "f.yaml:18:15: found 'fush', expected a key of an event; did you mean 'flush'?",
                "f.yaml:19:28: found 'web', expected a group: 'web' has no 'replicas'",
                "f.yaml:20:21: found no link between 'clients' and 'web', expected the two endpoints "
                    + "of a link of this file",
            ]),
        Broken(
            name: "expectations of series nobody records",
            text: small + "expect:\n  - max(gw.conntrack.cout) <= 65536\n"
                + "  - { that: \"sum(gv.conntrack.drop) == 0\", severity: warning }\n"
                + "  - { that: max(web.conntrack.count) == 0 }\n"
                + "  - { that: \"max(gw.conntrack.count) < 5s\", from: 50s, to: 40s }\n"
                + "  - max(gw.conntrack.count) ~= 5\n",
            wanted: [
                "f.yaml:14:9: found the series 'gw.conntrack.cout', expected what 'gw' records",
                "f.yaml:15:18: found the series 'gv.conntrack.drop', expected a node or workload of "
                    + "this file before the dot (clients, gw, web, run); did you mean "
                    + "'gw.conntrack.drop'?",
                "f.yaml:15:54: found 'warning', expected one of fail, warn; did you mean 'warn'?",
                "f.yaml:16:17: found the series 'web.conntrack.count', expected a node with a "
                    + "connection table ('web' has 'tracking: none')",
                "f.yaml:17:13: found a window from 50s to 40s, expected one within the duration of "
                    + "60s",
                "f.yaml:17:40: found a duration, expected a number, as on the left",
                "f.yaml:18:5: found '~=' without a tolerance, expected 'tolerance: 5%' beside it",
            ]),
        Broken(
            name: "load said twice, or not at all, or of the wrong kind",
            text: small + "workloads:\n"
                + "  a: { from: clients, to: web:443/tcp }\n"
                + "  b: { from: clients, to: web:443/tcp, rate: 1/s, stages: [{ for: 1s, rate: 1/s }] }\n"
                + "  c: { from: clients, to: web:443/tcp, model: closed, rate: 1/s }\n"
                + "  d: { from: clients, to: web:443/tcp, arrivals: \"bursts(size=5, every=1s)\", rate: 1/s }\n"
                + "  e: { kind: syn-flood, from: clients, to: web:443/tcp, rate: 1/s, flow: { close: rst } }\n"
                + "  f: { from: clients, to: web:443/tcp, rate: 5/s..1, retry: { syn: linx } }\n",
            wanted: [
                "f.yaml:14:3: found a workload without load, expected 'rate: 200/s', or 'stages:'",
                "f.yaml:15:59: found more than one of 'rate', 'flows' and 'stages', expected one of "
                    + "them",
                "f.yaml:16:61: found 'rate' in a closed workload, expected 'flows: 200', or 'model: "
                    + "open'",
                "f.yaml:17:84: found a rate beside bursts or a trace, expected one of the two: they "
                    + "say when flows arrive",
                "f.yaml:18:74: found 'flow' in a workload of the kind 'syn-flood', expected it only "
                    + "where the kind is flows",
                "f.yaml:19:46: found '1', expected a rate with its unit, as 4000/s (/s, /min, /h, k/s, "
                    + "M/s); did you mean '1/s'?",
                "f.yaml:19:68: found 'linx', expected one of linux, none; did you mean 'linux'?",
            ]),
        Broken(
            name: "distributions",
            text: small + "workloads:\n"
                + "  a: { from: clients, to: web:443/tcp, rate: 1/s, flow: { hold: \"lognormal(median=300ms, p90=5s)\" } }\n"
                + "  b: { from: clients, to: web:443/tcp, rate: 1/s, flow: { hold: \"lognorml(median=1s, p99=2s)\" } }\n"
                + "  c: { from: clients, to: web:443/tcp, rate: 1/s, flow: { hold: \"uniform(5s..1s)\" } }\n"
                + "  d: { from: clients, to: web:443/tcp, rate: 1/s, flow: { hold: 1000d } }\n",
            wanted: [
                "f.yaml:14:65: found 'p90=5s', expected parameters as in lognormal(median=300ms, "
                    + "p99=5s); did you mean 'p99'?",
                "f.yaml:15:65: found 'lognorml', expected one of constant, uniform, exponential, "
                    + "lognormal, pareto, normal; did you mean 'lognormal'?",
                "f.yaml:16:65: found '5s..1s', expected the smaller bound first",
                "f.yaml:17:65: found '1000d', expected at most 366d",
            ]),
        Broken(
            name: "services",
            text: small + "services:\n"
                + "  api: { vip: 10.96.0.10, port: 443, endpoints: web }\n"
                + "  dns: { vip: 10.96.0.10/32, port: 53/udp, endpoints: pool, mode: iptable }\n"
                + "  one: { vip: 10.96.0.1, port: 80/tcp, endpoints: web, reuse: drop-syn }\n"
                + "  web: { vip: 10.96.0.2, port: 80/tcp, endpoints: web }\n",
            wanted: [
                "f.yaml:14:33: found '443', expected a port with its protocol, tcp or udp; did you "
                    + "mean '443/tcp'?",
                "f.yaml:15:15: found '10.96.0.10/32', expected an address, as 10.96.0.10",
                "f.yaml:15:55: found 'pool', expected a node of this file (clients, gw, web)",
                "f.yaml:15:67: found 'iptable', expected one of nftables, iptables, ipvs; did you "
                    + "mean 'iptables'?",
                "f.yaml:16:3: found a service without nodes, expected a node with 'role: "
                    + "kubernetes-node', or 'nodes: [gw]'",
                "f.yaml:16:3: found 'reuse: drop-syn' without ipvs, expected 'mode: ipvs'",
                "f.yaml:17:3: found the name 'web' of a service, expected another name: it is already "
                    + "that of a node",
            ]),
        Broken(
            name: "groups without addresses for all, and members nobody is",
            text: changing("web:", to: "web: { replicas: 5, addresses: [10.0.0.0/30] }")
                + "timeline: [{ at: 1s, kill: web-7 }]\n",
            wanted: [
                "f.yaml:9:5: found 5 replicas on 2 addresses, expected an address each, or "
                    + "'same_addresses: true'",
                "f.yaml:13:28: found 'web-7', expected web-0 to web-4",
            ]),
        Broken(
            name: "answers to members that share their addresses",
            text: changing(
                "clients:",
                to: "clients: { replicas: 3, same_addresses: true, addresses: [198.18.0.1] }")
                + "workloads: { w: { from: clients, to: web:443/tcp, rate: 10/s } }\n",
            wanted: [
                "f.yaml:13:14: found answers to 'clients', whose members share their addresses, "
                    + "expected UDP with 'response: 0B': a route leads to one of the members alone"
            ]),
        Broken(
            name: "a service whose traffic is to stay on its node",
            text: changing("gw:", to: "gw: { role: kubernetes-node }")
                + "services:\n  api: { vip: 10.96.0.10, port: 80/tcp, endpoints: web, "
                + "external_traffic: local }\n",
            wanted: [
                "f.yaml:14:3: found 'external_traffic: local', expected 'cluster', the default: "
                    + "which endpoints are a node's own is not part of the rules written here"
            ]),
        Broken(
            name: "a sweep without seeds or values",
            text: small + "sweep:\n  seeds: 5..1\n  matrix:\n    gw.cpus: []\n",
            wanted: [
                "f.yaml:14:10: found '5..1', expected seeds as 1..5 (at most 10000), or a list of "
                    + "whole numbers",
                "f.yaml:16:14: found no values, expected at least one",
            ]),
        Broken(
            name: "a sweep's values",
            text: small + "sweep:\n  matrix:\n    gw.cpus: [1, 2, none]\n    gv.cpus: [1]\n"
                + "    topology.links[5].delay: [1ms]\n",
            wanted: [
                "f.yaml:15:5: found gw.cpus = none ('none'), expected a whole number from 1 to 1024",
                "f.yaml:16:5: found gv.cpus = 1 ('gv'), expected a key of the file, or a node, "
                    + "workload or service of it; did you mean 'gw'?",
                "f.yaml:17:5: found topology.links[5].delay = 1ms ([5]), expected a place in a list "
                    + "of 2, from 0",
            ]),
        Broken(
            name: "files that are not there",
            text: changing(
                "gw:",
                to:
                    "gw: { role: router, sysctl_file: a.conf, ruleset_file: b.nft, table_file: c.txt }"
            ),
            wanted: [
                "f.yaml:8:38: found 'a.conf' (this scenario is on its own), expected a readable file",
                "f.yaml:8:60: found 'b.nft' (this scenario is on its own), expected a readable file",
                "f.yaml:8:79: found 'c.txt' (this scenario is on its own), expected a readable file",
            ]),
        Broken(
            name: "figures beyond the limits",
            text: changing("duration", to: "duration: 366d\nsample: 1ms")
                + "workloads: { w: { from: clients, to: web:443/tcp, rate: 20M/s } }\n"
                + "limits: { packets: 0 }\n",
            wanted: [
                "f.yaml:5:9: found 31622400000 samples, expected at most 1000000; a longer 'sample'",
                "f.yaml:14:57: found '20M/s', expected at most 10M/s",
                "f.yaml:15:20: found '0', expected more than 0",
            ]),
    ]

    @Test("all mistakes of a file are said, with their places", arguments: files)
    func saysAll(_ file: Broken) {
        let found = ScenarioExample.findings(file.text)
        #expect(
            found.count == file.wanted.count
                && zip(found, file.wanted).allSatisfy { $0.hasPrefix($1) },
            "\n\(found.joined(separator: "\n"))")
    }

    @Test("no prefix of a scenario traps the reader")
    func survivesPrefixes() {
        let text = ScenarioExample.described
        for length in stride(from: 0, to: text.count, by: 7) {
            _ = ScenarioExample.findings(String(text.prefix(length)))
        }
    }

    @Test("no swapped word traps the reader", arguments: 0..<8)
    func survivesSwaps(part: Int) {
        let others = ["[]", "{}", "-1", "99999999999999999999", "''", "*x", "a: b", "nan"]
        let words = ScenarioExample.described.split(
            separator: " ", omittingEmptySubsequences: false)
        for index in words.indices where index % 8 == part && !words[index].isEmpty {
            var changed = words
            changed[index] = others[index / 8 % others.count][...]
            _ = ScenarioExample.findings(changed.joined(separator: " "))
        }
    }
}
