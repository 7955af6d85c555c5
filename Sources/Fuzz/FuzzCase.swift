/// What a trace is mostly about.
public enum FuzzKind: String, Sendable, Hashable, CaseIterable {
    case tcp, udp, icmp, nat, sctp, gre, udplite, mixed
}

/// One packet of a trace.
public struct FuzzPacket: Sendable, Hashable {
    /// Nanoseconds since the trace began.
    public var time: UInt64
    /// From the IP header on.
    public var bytes: [UInt8]

    public init(time: UInt64, bytes: [UInt8]) {
        self.time = time
        self.bytes = bytes
    }
}

/// A trace and the machine it is for.
public struct FuzzCase: Sendable {
    public var seed: UInt64
    public var kind: FuzzKind
    public var node: FuzzNode
    public var packets: [FuzzPacket]
    /// Whether it stops for longer than its timeouts.
    public var hasPauses: Bool
}

/// A machine under test: the parts of a node file, and its text.
public struct FuzzNode: Sendable, Hashable {
    public struct Interface: Sendable, Hashable {
        public var name: String
        public var addresses: [String]
        public var routes: [String]
        public var mtu: Int
        public var isDefault: Bool
    }

    public var interfaces: [Interface]
    /// In the order they are written.
    public var sysctls: [(name: String, value: Int)] {
        zip(sysctlNames, sysctlValues).map { ($0, $1) }
    }
    public var ruleset: String
    /// `always` or `auto`.
    public var tracking: String
    private var sysctlNames: [String] = []
    private var sysctlValues: [Int] = []

    init(interfaces: [Interface], ruleset: String, tracking: String) {
        self.interfaces = interfaces
        self.ruleset = ruleset
        self.tracking = tracking
    }

    /// Sets `net.netfilter.` + `name`, once or anew.
    mutating func set(_ name: String, _ value: Int) {
        let name = "net.netfilter." + name
        if let place = sysctlNames.firstIndex(of: name) {
            sysctlValues[place] = value
            return
        }
        sysctlNames.append(name)
        sysctlValues.append(value)
    }

    /// The node file.
    public var text: String {
        var lines = ["version: 1", "kernel: \"6.18\"", "tracking: \(tracking)", "interfaces:"]
        for interface in interfaces {
            var parts = ["addresses: [\(interface.addresses.joined(separator: ", "))]"]
            if !interface.routes.isEmpty {
                parts.append("routes: [\(interface.routes.joined(separator: ", "))]")
            }
            if interface.mtu != 1500 { parts.append("mtu: \(interface.mtu)") }
            if interface.isDefault { parts.append("default: true") }
            lines.append("  \(interface.name): { \(parts.joined(separator: ", ")) }")
        }
        if !sysctlNames.isEmpty {
            lines.append("sysctl:")
            lines += sysctls.map { "  \($0.name): \($0.value)" }
        }
        if !ruleset.isEmpty {
            lines.append("ruleset: |")
            lines += ruleset.split(separator: "\n").map { "  \($0)" }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
