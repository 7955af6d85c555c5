internal import LinuxCalls

/// Where each setting of a node belongs.
struct SettingPlan {
    /// One value for the whole machine.
    private(set) var global: [LiveNode.Setting] = []
    /// The namespace's own.
    private(set) var own: [LiveNode.Setting] = []
    /// Without effect on what is compared, or taken over by the watch.
    private(set) var leftOut: [String] = []

    init(_ settings: [LiveNode.Setting]) {
        for setting in settings {
            let name = Self.fullName(setting.name)
            let full = LiveNode.Setting(name, setting.value)
            switch name {
            case "net.netfilter.nf_conntrack_buckets", "net.netfilter.nf_conntrack_expect_max",
                "net.netfilter.nf_conntrack_log_invalid":
                leftOut.append(name)
            case "net.ipv4.icmp_ratelimit", "net.ipv4.icmp_ratemask", "net.ipv6.icmp.ratelimit":
                // There is no limit: it would go by real time.
                if setting.value != "0" { leftOut.append(name) }
            case _ where MachineLease.globalNames.contains(name):
                global.append(full)
            default:
                own.append(full)
            }
        }
    }

    /// The kernel's own name of a setting written with or without its beginning.
    private static func fullName(_ name: String) -> String {
        if name == "net.nf_conntrack_max" { return "net.netfilter.nf_conntrack_max" }
        return name.hasPrefix("net.") ? name : "net.netfilter." + name
    }

    /// Makes the namespace's own settings, with the calling thread inside.
    ///
    /// - Returns: Those this kernel does not have.
    func apply() throws(LiveKernelError) -> [String] {
        var missing: [String] = []
        for setting in own {
            if SysctlFile.exists(setting.name) {
                try RouterSetup.set(setting.name, setting.value)
            } else {
                missing.append(setting.name)
            }
        }
        return missing
    }
}
