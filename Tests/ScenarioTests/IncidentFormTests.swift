import Testing

@testable import Scenario

/// The format has words for every incident that ships.
@Suite struct IncidentFormTests {
    private static func head(_ name: String, _ seconds: Int = 600) -> String {
        "version: 1\nname: \(name)\nabout: A test.\nduration: \(seconds)s\n"
    }

    /// A client, a NAT gateway that masquerades, a server.
    private static let gateway = """
        topology:
          nodes:
            clients: { addresses: [10.0.0.0/24] }
            gw:
              role: router
              cpus: 2
              processing: uniform(2us..6us)
              steering: random
              interfaces: { lan: { addresses: [10.0.255.1/32] }, wan: { addresses: [203.0.113.1/24] } }
              nftables: |
                table ip nat {
                  chain post {
                    type nat hook postrouting priority srcnat;
                    oifname "wan" masquerade
                  }
                }
            web: { addresses: [198.51.100.7], listen: [80/tcp, 443/tcp, 53/udp] }
          links:
            - { endpoints: [clients, "gw:lan"], delay: 1ms }
            - { endpoints: ["gw:wan", web], delay: 5ms }

        """

    /// A service with its endpoints behind Kubernetes nodes.
    private static let cluster = """
        topology:
          nodes:
            clients: { addresses: [192.0.2.0/28] }
            core: { role: router }
            nodes: { role: kubernetes-node, replicas: 4, addresses: [172.16.0.10/24], cpus: 2, processing: 3us }
            pods: { replicas: 8, addresses: [10.244.0.0/22], listen: [{ port: 8053/udp, processing: 1ms }, 8080/tcp] }
          links:
            - { endpoints: [clients, core] }
            - { endpoints: [core, nodes] }
            - { endpoints: [pods, "nodes:cni0"] }
        services:
          dns: { vip: 10.96.0.10, port: 53/udp, target_port: 8053, endpoints: pods, cleanup: none }
          web: { vip: 10.96.0.20, port: 80/tcp, target_port: 8080, node_port: 30080, endpoints: pods, affinity: client-ip }
          lvs: { vip: 10.96.0.30, port: 80/tcp, target_port: 8080, endpoints: pods, mode: ipvs, reuse: drop-syn }

        """

    static let incidents: [(name: String, text: String)] = [
        (
            "timewait-arithmetic",
            gateway + """
                workloads:
                  short: { from: clients, to: web:80/tcp, rate: 1092/s, flow: { close: client-fin } }
                expect: [{ that: "rate(short.connected, from=300s) ~= 1092/s", tolerance: 10% }]
                sweep: { matrix: { gw.sysctl.nf_conntrack_max: [131072, 262144] } }
                """
        ),
        (
            "redis-pool-leak",
            gateway + """
                workloads:
                  spike: { from: clients, to: web:80/tcp, start: 10s, stages: [{ for: 5s, rate: 100/s..2000/s }, { for: 60s, rate: 2000/s }], flow: { requests: 3, think: exponential(mean=1s) } }
                  pooled: { from: clients, to: web:80/tcp, rate: 2000/s, flow: { pool: { size: 50, idle: 60s } } }
                """
        ),
        (
            "dht-supernode",
            """
            topology:
              nodes:
                node: { addresses: [203.0.113.5], sysctl: { nf_conntrack_max: 65536 }, tracking: always, listen: [6881/udp] }
                peers: { addresses: [100.64.0.0/12], closed_ports: silent }
              links: [{ endpoints: [node, peers], delay: 40ms, loss: 1% }]
            workloads:
              dht: { from: node, to: { to: "peers:1024-65535/udp", spread: random }, rate: 5000/s, flow: { source_port: 6881, response: 0B } }
            """
        ),
        (
            "nodeport-imbalance",
            cluster + """
                workloads:
                  users: { from: clients, to: { node_port: web, weights: { nodes-0: 45, nodes-1: 45, nodes-2: 5, nodes-3: 5 } }, rate: 500/s }
                """
        ),
        (
            "asymmetric-return",
            """
            topology:
              nodes:
                client: { addresses: [198.51.100.1] }
                gw1: { role: router, addresses: [203.0.113.10/24], nftables: "table ip nat { chain pre { type nat hook prerouting priority dstnat; ip daddr 203.0.113.10 dnat to 10.0.1.10 } }" }
                gw2: { role: router, tracking: always }
                web: { addresses: [10.0.1.10/24], listen: [443/tcp] }
              links: [{ endpoints: [client, gw1] }, { endpoints: [client, gw2] }, { endpoints: [gw1, web] }, { endpoints: [gw2, web] }]
              routes: [{ on: web, to: client, via: gw2 }]
            workloads:
              calls: { from: client, to: "203.0.113.10:443/tcp", rate: 5/s }
            timeline:
              - { at: 120s, route: { on: web, to: client, via: gw1 } }
              - { at: 300s, failover: { from: gw1, to: gw2, detect: 3s } }
            """
        ),
        (
            "udp-timeout-too-short",
            gateway + """
                workloads:
                  telemetry: { from: clients, to: web:53/udp, model: closed, flows: 10, flow: { requests: 20, think: 35s, push: { every: 25s, count: 3, size: 100B } } }
                """
        ),
        (
            "syn-flood",
            gateway + """
                workloads:
                  flood: { kind: syn-flood, from: clients, to: web:80/tcp, spoof: [172.20.0.0/14], rate: 0/s..20k/s }
                  real: { from: clients, to: web:80/tcp, rate: 100/s, retry: { connect_timeout: 10s } }
                """
        ),
        (
            "dns-five-seconds",
            cluster + """
                workloads:
                  lookups: { from: pods, to: web, rate: 50/s, resolver: { ask: dns, records: [A, AAAA], one_socket: true, timeout: 5s } }
                """
        ),
        (
            "snat-port-race",
            gateway + """
                workloads:
                  threads: { from: clients, to: web:443/tcp, arrivals: "bursts(size=80, every=100ms)", flow: { source_addresses: 4 } }
                """
        ),
        (
            "stale-segment-reset",
            gateway + """
                workloads:
                  upload: { from: clients, to: web:80/tcp, rate: 1/s, total: 20, flow: { request: 50MB, response: 100B } }
                timeline:
                  - { at: 20s, link: { between: [gw, web], forward: { late: 0.1%, lateness: "uniform(2s..4s)" } } }
                sweep: { matrix: { gw.sysctl.nf_conntrack_tcp_be_liberal: [0, 1] } }
                """
        ),
        (
            "close-wait-3600",
            gateway + """
                workloads:
                  leak: { from: clients, to: web:80/tcp, rate: 1300/s, flow: { close: ignored-fin } }
                  slow: { from: clients, to: web:443/tcp, rate: 1/s, flow: { close: half-close } }
                expect: [{ that: "time_to(gw.conntrack.count >= 655360) ~= 504s", tolerance: 3% }]
                """
        ),
        (
            "udp-blackhole-rollout",
            cluster + """
                workloads:
                  events: { from: pods, to: dns, total: 1, rate: 1/s, flow: { source_port: 5000, requests: 1000, think: 500ms, response: 0B } }
                timeline:
                  - { at: 30s, rollout: { of: dns, batch: 1, every: 10s, drain: 5s, close: abandon, surge: 1 } }
                  - { at: 200s, delete: { on: nodes-0, proto: udp, reply_src: 10.244.0.0/24, dport: 53 } }
                """
        ),
        (
            "scaled-to-zero",
            cluster + """
                workloads:
                  telemetry: { from: clients, to: dns, model: closed, flows: 8, flow: { source_port: 4000, requests: 100k, think: 125us, response: 0B } }
                timeline:
                  - { at: 10s, scale: { of: dns, to: 0 } }
                  - { at: 100s, scale: { of: dns, to: 3 } }
                  - { at: 200s, flush: [nodes] }
                """
        ),
        (
            "ndots-amplification",
            gateway + """
                workloads:
                  api: { from: clients, to: web:443/tcp, rate: 50/s, resolver: { ask: web:53/udp, ndots: 5, dots: 2, search: 4, one_socket: false } }
                """
        ),
        (
            "chain-refusal",
            gateway + """
                workloads:
                  fill: { from: clients, to: web:53/udp, rate: 1k/s, flow: { source_port: per-packet, response: 0B } }
                sweep: { matrix: { gw.chain_limit: [16, 32, 40, 50, 50..79] } }
                """
        ),
        (
            "zones-one-chain",
            """
            topology:
              nodes:
                tenants: { replicas: 40, same_addresses: true, addresses: [10.0.0.1] }
                gw:
                  role: router
                  tracking: always
                web: { addresses: [198.51.100.7], listen: [53/udp] }
              links: [{ endpoints: [tenants, gw] }, { endpoints: [gw, web] }]
            workloads:
              same: { from: tenants, to: web:53/udp, rate: 10/s, total: 40, flow: { source_port: 40000, response: 0B } }
            """
        ),
        (
            "snat-exhaustion",
            gateway + """
                workloads:
                  held: { from: clients, to: web:443/tcp, model: closed, stages: [{ for: 60s, flows: 0..63k }, { for: 100s, flows: 63k }], flow: { hold: 600s } }
                """
        ),
        (
            "ipvs-port-reuse",
            cluster + """
                workloads:
                  one: { from: clients, to: lvs, rate: 235/s, flow: { source_addresses: 1, source_port: sequential } }
                sweep: { matrix: { clients.sysctl: [{ net.ipv4.tcp_tw_reuse: 1 }] } }
                """
        ),
        (
            "collector-lag",
            """
            topology:
              nodes:
                client: { addresses: [10.0.0.0/16] }
                gw:
                  role: router
                  tracking: always
                  table:
                    - { count: 200000, from: client, to: web:80/tcp, state: ESTABLISHED }
                    - { count: 1, from: client, to: web:81/tcp, state: CLOSE, timeout: 10s }
                web: { addresses: [10.1.0.1], listen: [80/tcp] }
              links: [{ endpoints: [client, gw] }, { endpoints: [gw, web] }]
            """
        ),
        (
            "small-box-scan",
            gateway + """
                workloads:
                  scan: { kind: scan, from: clients, to: "198.51.100.0/24:1-1024/tcp", rate: 5k/s, order: random, start: 10s }
                  replayed: { kind: replay, from: clients, file: scan.pcap, at: gw, loops: 0, speed: 2 }
                """
        ),
        (
            "udp-sticky",
            cluster + """
                workloads:
                  sticky: { from: clients, to: dns, model: closed, flows: 1, flow: { source_port: 5353, requests: 500, think: 10ms } }
                  fresh: { from: clients, to: dns, model: closed, flows: 1, flow: { source_port: per-packet, requests: 500, think: 10ms } }
                expect: [{ that: "sum(pods-0.packets.received) >= 0" }]
                """
        ),
        (
            "all-verbs",
            cluster + """
                workloads: { w: { from: clients, to: web, rate: 1/s, stopped: true } }
                timeline:
                  - { at: 1s, workload: { w: start } }
                  - { at: 2s, workload: { w: 5/s } }
                  - { at: 3s, workload: { w: stop } }
                  - { at: 4s, kill: pods-3 }
                  - { at: 5s, kill: { of: core, for: 3s } }
                  - { at: 6s, link: { between: [core, nodes], down: true } }
                  - { at: 7s, nftables: { core: "table ip x { }" } }
                  - { at: 8s, note: done }
                  - { at: 9s, route: { on: core, to: 10.244.0.0/22, via: none } }
                """
        ),
    ]

    @Test("each incident can be said", arguments: incidents)
    func canBeSaid(_ name: String, _ text: String) {
        #expect(ScenarioExample.findings(Self.head(name) + text + "\n") == [])
    }
}
