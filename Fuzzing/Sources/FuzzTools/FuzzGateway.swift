public import Conntrack
import Wire

/// A small machine with everything on: rules, both kinds of NAT, accounting, logs, a listener.
public enum FuzzGateway {
    public static let ruleset = """
        table inet filter {
            chain forward {
                type filter hook forward priority filter; policy accept
                ct state invalid drop
                ct state established,related accept
                tcp flags & (fin|syn) == fin|syn drop
                udp dport 99 reject
            }
        }
        table ip nat {
            chain pre {
                type nat hook prerouting priority dstnat
                iifname "wan" tcp dport 8080 dnat to 10.0.0.80:80
            }
            chain post {
                type nat hook postrouting priority srcnat
                oifname "wan" masquerade
            }
        }
        """

    public static func make(seed: UInt64, max: UInt32 = 32, buckets: UInt32 = 16) -> Node {
        var configuration = NodeConfiguration()
        configuration.seed = seed
        configuration.tracking = .always
        configuration.sysctl.max = max
        configuration.sysctl.buckets = buckets
        configuration.sysctl.accounting = true
        configuration.sysctl.timestamp = true
        configuration.sysctl.logInvalid = 255
        // Without it what is flipped gets past the checksum, into the state machines.
        configuration.sysctl.checksum = seed % 2 == 0
        configuration.interfaces = interfaces
        if let rules = try? Ruleset(
            nftables: ruleset, file: "fuzz.nft", interfaces: interfaces.map(\.name))
        {
            configuration.ruleset = rules
        }
        var node = Node(configuration)
        node.isListening = true
        return node
    }

    public static let interfaces = [
        Interface(
            name: "lan",
            addresses: [
                Prefix(.ipv4, Address(ipv4: 0x0a00_0001), length: 16),
                Prefix(.ipv6, Address(high: 0xfd00 << 48, low: 1), length: 64),
            ], mtu: 1280),
        Interface(
            name: "wan",
            addresses: [
                Prefix(.ipv4, Address(ipv4: 0xcb00_7101), length: 24),
                Prefix(.ipv6, Address(high: 0xfd01 << 48, low: 1), length: 64),
            ], isDefault: true),
    ]

    /// What must hold of the machine at any time between packets; `packets` are on their way.
    public static func check(
        _ node: inout Node, holding packets: [Packet] = [], at now: Instant
    ) {
        let findings = node.audit(holding: packets, at: now)
        hold(findings.isEmpty, findings.joined(separator: "; "))
    }
}
