@testable import Scenario

/// Scenarios the tests change and break.
enum ScenarioExample {
    /// The smallest that does something.
    static let small = """
        version: 1
        name: small
        about: A test.
        duration: 60s
        topology:
          nodes:
            clients: { addresses: [198.18.0.0/24] }
            gw: { role: router }
            web: { addresses: [198.18.128.10], listen: [443/tcp] }
          links:
            - { endpoints: [clients, gw], delay: 1ms }
            - { endpoints: [gw, web] }

        """

    /// The one of the format's description.
    static let described = """
        version: 1
        name: burst
        about: A traffic spike against a default-sized table.
        seed: 42
        duration: 180s
        topology:
          nodes:
            clients: { addresses: [198.18.0.0/24] }
            gw:
              role: router
              sysctl: { net.netfilter.nf_conntrack_max: 65536, net.netfilter.nf_conntrack_buckets: 65536 }
              nftables: |
                table inet filter {
                  chain forward {
                    type filter hook forward priority filter; policy drop;
                    ct state established,related accept
                    ct state invalid counter drop
                    tcp dport 443 ct state new accept
                  }
                }
            web: { addresses: [198.18.128.10], listen: [443/tcp], backlog: 4096 }
          links:
            - { endpoints: [clients, gw], delay: 1ms }
            - { endpoints: [gw, web], delay: 200us }
          routes: []
        workloads:
          shoppers:
            from: clients
            to: web:443/tcp
            model: open
            arrivals: poisson
            stages:
              - { for: 30s, rate: 200/s }
              - { for: 10s, rate: 200/s..4000/s }
              - { for: 60s, rate: 4000/s }
              - { for: 80s, rate: 200/s }
            flow: { hold: "lognormal(median=300ms, p99=5s)", request: 800B, response: 20kB, close: client-fin }
            retry: { syn: linux, app: { attempts: 3, backoff: 1s, timeout: 10s } }
        timeline:
          - { at: 90s, sysctl: { gw: { net.netfilter.nf_conntrack_max: 131072 } } }
        expect:
          - { that: "max(gw.conntrack.count) <= 0.75 * gw.conntrack.max", severity: warn }
          - { that: "sum(gw.conntrack.drop) == 0" }
          - { that: "p99(shoppers.connect) < 250ms", from: 0s, to: 80s }
        sweep:
          matrix:
            gw.sysctl.nf_conntrack_max: [65536, 131072, 262144]
            shoppers.stages[2].rate: [1000/s, 2000/s, 4000/s]
          seeds: 1..5

        """

    static func read(_ text: String, set overrides: [String] = []) throws -> Scenario {
        try ScenarioFile.parse(
            text, file: "f.yaml", overrides: overrides.compactMap { .init($0) }
        ).scenario
    }

    /// What is said about a text, one line a finding.
    static func findings(_ text: String, set overrides: [String] = []) -> [String] {
        do {
            _ = try read(text, set: overrides)
            return []
        } catch let error as FileError {
            return error.findings.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }
}
