import Conntrack

// Keys of the node file of `ctlab replay`.

enum NodeFileKey: String, SchemaKey {
    case version, kernel, hz, seed, interfaces, sysctl
    case sysctlFile = "sysctl_file"
    case ruleset
    case rulesetFile = "ruleset_file"
    case iptablesSave = "iptables_save"
    case iptablesSaveFile = "iptables_save_file"
    case tracking

    static let noun = "a node file"

    var shape: Shape {
        switch self {
        case .version: .integer(1...1)
        case .kernel: .words(KernelProfile.self)
        case .hz: .word(TickRate.supported.map(String.init))
        case .seed: .integer(0...Int.max)
        case .interfaces: .named(.mapping(FileInterfaceKey.self))
        case .sysctl: .named(.setting)
        case .sysctlFile, .ruleset, .rulesetFile, .iptablesSave, .iptablesSaveFile: .text
        case .tracking: .words(TrackingMode.self)
        }
    }

    var summary: String {
        switch self {
        case .version: "The format's version: 1."
        case .kernel: "The kernel whose behaviour is modelled."
        case .hz: "Ticks a second."
        case .seed: "Seed of everything random."
        case .interfaces: "At least one; the first is used where nothing else decides."
        case .sysctl: "Settings by their kernel names; they win over the file."
        case .sysctlFile: "A file as 'sysctl -a' prints it."
        case .ruleset: "The ruleset, as nftables text."
        case .rulesetFile: "A file of nftables text."
        case .iptablesSave: "Rules as iptables-save prints them, loaded behind the ruleset."
        case .iptablesSaveFile: "A file as iptables-save prints it."
        case .tracking: "auto (as the kernel, once a rule needs it) or always."
        }
    }

    var isRequired: Bool { self == .version || self == .interfaces }
}

enum FileInterfaceKey: String, SchemaKey {
    case addresses, routes, mtu
    case isDefault = "default"

    static let noun = "an interface"

    var shape: Shape {
        switch self {
        case .addresses, .routes: .oneOrMany(.text)
        case .mtu: .integer(68...65_535)
        case .isDefault: .boolean
        }
    }

    var summary: String {
        switch self {
        case .addresses: "Addresses with their prefix length, as 10.0.0.1/24."
        case .routes: "Networks behind it, as 10.9.0.0/16."
        case .mtu: "Largest packet in bytes; 1500 if absent."
        case .isDefault: "Takes what no address or route of any interface holds."
        }
    }
}
