internal import LinuxCalls

/// How a lab's gateway is set up.
public struct LabSetup: Sendable {
    /// Network address translation towards the server, and nothing else.
    public static let masquerade = """
        table inet nat {
            chain post {
                type nat hook postrouting priority srcnat;
                oifname "wan" masquerade
            }
        }

        """
    /// Tracking alone.
    public static let tracking = """
        table inet filter {
            chain forward {
                type filter hook forward priority filter; policy accept;
                ct state invalid counter
            }
        }

        """

    /// Addresses the client may send from.
    public internal(set) var clientPrefix = "198.18.0.0/20"
    /// Addresses the server answers on, and the one that is used unless another is named.
    public internal(set) var serverPrefix = "198.18.128.0/20"
    public internal(set) var serverAddress = "198.18.128.1"
    /// The gateway's interfaces.
    public internal(set) var lan = "lan"
    public internal(set) var wan = "wan"
    /// The gateway's rules, nftables text.
    public var ruleset: String
    /// The client's; a rule that asks for the connection makes it track, too.
    public var clientRuleset = ""
    /// How long a packet takes over each link, one way; needs netem.
    public var delaySeconds = 0.0
    /// The share of packets each link loses, one way.
    public var loss = 0.0
    /// Whether it comes from a scenario whose links have delays, which are not made.
    public internal(set) var hasScenarioDelays = false
    /// The gateway's own settings, by their full names.
    public private(set) var settings: [(name: String, value: String)] = []
    /// Settings that are one for the whole machine: made under its lease, and put back.
    public private(set) var globalSettings: [(name: String, value: String)] = []

    /// The client's own settings, by their full names.
    public private(set) var clientSettings: [(name: String, value: String)] = []

    /// - Parameter settings: Names with or without `net.netfilter.`.
    public init(
        ruleset: String = LabSetup.masquerade, settings: [(name: String, value: String)] = [],
        clientSettings: [(name: String, value: String)] = []
    ) {
        self.ruleset = ruleset
        self.clientSettings = clientSettings
        add(settings)
    }

    /// Adds settings of the client.
    public mutating func add(clientSettings: [(name: String, value: String)]) {
        self.clientSettings += clientSettings
    }

    /// Rules that lose what arrives at `interfaces`; empty if nothing is to be lost.
    ///
    /// Packets go where they arrive, before anybody tracks them: one that is dropped where it is
    /// sent would be an error of the sender's.
    func lossRuleset(arriving interfaces: String...) -> String {
        guard loss > 0 else { return "" }
        let millionths = Int((loss * 1e6).rounded())
        let rules = interfaces.map {
            "        iifname \"\($0)\" numgen random mod 1000000 < \(millionths) counter drop\n"
        }
        return """
            table inet link {
                chain lose {
                    type filter hook prerouting priority -450;
            \(rules.joined())    }
            }

            """
    }

    /// Adds settings of the gateway, which win over those made before.
    public mutating func add(_ settings: [(name: String, value: String)]) {
        for (name, value) in settings {
            let full = name.hasPrefix("net.") ? name : "net.netfilter." + name
            if MachineLease.globalNames.contains(full) {
                globalSettings.append((full, value))
            } else {
                self.settings.append((full, value))
            }
        }
    }
}
