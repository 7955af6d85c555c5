internal import LinuxCalls

// Makes an empty network namespace into the node's machine. Everything here runs with the calling
// thread inside the namespace.

/// The system's own tools, which have to be there.
struct Tools: Sendable {
    let nft: Program
    let ip: Program

    init() throws(LiveKernelError) {
        guard let nft = Program(named: "nft") else {
            throw .unavailable("there is no nft", remedy: "install the package nftables")
        }
        guard let ip = Program(named: "ip") else {
            throw .unavailable("there is no ip", remedy: "install the package iproute2")
        }
        self.nft = nft
        self.ip = ip
    }

    @discardableResult
    func run(
        _ program: Program, _ arguments: [String], input: String = ""
    ) throws(LiveKernelError) -> String {
        let outcome = try live { () throws(SystemCallError) in
            try program.run(arguments, input: input)
        }
        guard outcome.exitCode == 0 else {
            throw .refused(program: program.path, outcome.errors)
        }
        return outcome.output
    }
}

enum RouterSetup {
    /// What a router does and an end host does not; and nothing that speaks unasked.
    private static let settings: [(String, String)] = [
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
        ("net.ipv4.conf.all.accept_local", "1"),
        ("net.ipv4.conf.all.send_redirects", "0"),
        ("net.ipv4.conf.default.send_redirects", "0"),
        ("net.ipv6.conf.default.accept_dad", "0"),
        ("net.ipv6.conf.default.dad_transmits", "0"),
        ("net.ipv6.conf.default.accept_ra", "0"),
        ("net.ipv6.conf.default.autoconf", "0"),
        ("net.ipv6.conf.default.router_solicitations", "0"),
        ("net.ipv6.conf.default.addr_gen_mode", "1"),
        // Every `reject` is answered, however many there are.
        ("net.ipv4.icmp_ratemask", "0"),
        ("net.ipv6.icmp.ratelimit", "0"),
        ("net.ipv4.icmp_msgs_per_sec", "2000000000"),
        ("net.ipv4.icmp_msgs_burst", "2000000000"),
        ("net.ipv6.conf.all.forwarding", "1"),
        ("net.ipv6.conf.default.forwarding", "1"),
    ]

    /// What makes the tracker say why it refuses a packet, to a log socket (protocols.md §11).
    private static let remarkSettings: [(String, String)] = [
        ("net.netfilter.nf_log.2", "nfnetlink_log"),
        ("net.netfilter.nf_log.10", "nfnetlink_log"),
        ("net.netfilter.nf_conntrack_log_invalid", "255"),
    ]

    static func makeRouter() throws(LiveKernelError) {
        // A kernel without IPv6 has no such names, and then no packets that need them.
        for (name, value) in settings where SysctlFile.exists(name) {
            try building { () throws(SystemCallError) in try SysctlFile.write(name, value) }
        }
        guard SysctlFile.exists("net.netfilter.nf_conntrack_log_invalid") else {
            throw .unavailable(
                "the kernel has no connection tracking",
                remedy: "load it: modprobe -a nf_conntrack nf_conntrack_netlink nfnetlink_log")
        }
        for (name, value) in remarkSettings {
            do throws(SystemCallError) {
                try SysctlFile.write(name, value)
            } catch {
                throw .unavailable(
                    "\(name) does not take '\(value)' (\(error.reason))",
                    remedy: "load the module: modprobe nfnetlink_log")
            }
        }
    }

    static func set(_ name: String, _ value: String) throws(LiveKernelError) {
        do throws(SystemCallError) {
            try SysctlFile.write(name, value)
        } catch {
            throw .setting(name: name, value: value, reason: error.reason)
        }
    }

    /// Addresses, sizes and routes; the devices are there and come up here.
    static func configure(
        _ interfaces: [LiveNode.Interface], with tools: Tools
    ) throws(LiveKernelError) {
        var lines = ["link set lo up"]
        for interface in interfaces {
            // Among the IPv6 addresses of a device the kernel prefers the newest one: to be its
            // primary address, a node's first one has to come last.
            let (ipv6, ipv4) = (
                interface.addresses.filter { $0.contains(":") },
                interface.addresses.filter { !$0.contains(":") }
            )
            for address in ipv4 + ipv6.reversed() {
                let noDetection = address.contains(":") ? " nodad" : ""
                lines.append("addr add \(address) dev \(interface.name)\(noDetection)")
            }
            lines.append("link set \(interface.name) mtu \(interface.mtu) up")
        }
        for interface in interfaces {
            for route in interface.routes {
                let family = route.contains(":") ? "-6 " : ""
                lines.append("\(family)route replace \(route) dev \(interface.name)")
            }
        }
        if let fallback = interfaces.first(where: \.isDefault) {
            lines.append("route replace default dev \(fallback.name)")
            lines.append("-6 route replace default dev \(fallback.name)")
        }
        // `ip -batch` takes no options within a line, so that each family is a batch of its own.
        let ipv6 = lines.filter { $0.hasPrefix("-6 ") }.map { $0.dropFirst(3) + "\n" }
        let others = lines.filter { !$0.hasPrefix("-6 ") }.map { $0 + "\n" }
        try tools.run(tools.ip, ["-batch", "-"], input: others.joined())
        if !ipv6.isEmpty {
            try tools.run(tools.ip, ["-6", "-batch", "-"], input: ipv6.joined())
        }
        try waitForAddresses()
    }

    /// Waits until every IPv6 address is the machine's own, and has its route.
    ///
    /// Even without duplicate detection a worker of the kernel takes the last steps, some time after
    /// the device has come up: on a busy machine, after the first packets. Until then nothing is
    /// delivered to the address, and masquerading does not choose it.
    private static func waitForAddresses() throws(LiveKernelError) {
        let files = "/proc/thread-self/net/"
        guard TextFile.exists(files + "if_inet6") else { return }
        let deadline = MonotonicClock.now() + 10_000_000_000
        while true {
            let (addresses, routes) = try live { () throws(SystemCallError) in
                (
                    try TextFile.read(files + "if_inet6"),
                    try TextFile.read(files + "ipv6_route")
                )
            }
            if addresses.split(separator: "\n").allSatisfy({ isReady($0, routes) }) { return }
            let now = MonotonicClock.now()
            guard now < deadline else {
                throw .unexpected("found IPv6 addresses not ready after 10 s:\n\(addresses)")
            }
            MonotonicClock.sleep(until: now + 1_000_000)
        }
    }

    /// Whether the address of a line of if_inet6 (address, device, prefix length, scope, flags,
    /// name) can be used: a route to it alone, of 128 bits, comes last.
    private static func isReady(_ line: Substring, _ routes: String) -> Bool {
        let words = line.split(separator: " ")
        guard words.count > 4, let flags = UInt8(words[4], radix: 16) else { return true }
        return flags & tentative == 0
            && routes.split(separator: "\n").contains { $0.hasPrefix("\(words[0]) 80 ") }
    }

    /// `IFA_F_TENTATIVE`.
    private static let tentative: UInt8 = 0x40

    /// Loads the node's rules, and ours around them.
    static func load(_ node: LiveNode, with tools: Tools) throws(LiveKernelError) {
        // Before the tracker is there: among equal priorities, what came last is asked first.
        try load(families.map(WatchRules.arrivals).joined(), with: tools)
        if !node.ruleset.isEmpty { try load(ZoneWatch.watched(node.ruleset), with: tools) }
        let classes = try classes(node, with: tools)
        let hasRoutes = node.interfaces.contains(where: \.isDefault)
        try load(WatchRules.silence(hasRoutes: hasRoutes) + classes, with: tools)
    }

    /// Puts the node's rules in the place of those it had, and ours around them anew.
    ///
    /// In one transaction, and before ours go: a family that is tracked before and after is so all
    /// the time.
    static func replaceRules(of node: LiveNode, with tools: Tools) throws(LiveKernelError) {
        let tables = try tools.run(tools.nft, ["list", "tables"]).split(separator: "\n")
        let deletions = { (isOurs: Bool) in
            tables.filter { WatchRules.isOurs($0) == isOurs && !WatchRules.stays($0) }
                .map { "delete \($0)\n" }.joined()
        }
        try load(deletions(false) + ZoneWatch.watched(node.ruleset), with: tools)
        let classes = try classes(node, with: tools)
        try load(deletions(true) + classes, with: tools)
    }

    private static let families = ["ip", "ip6"]

    private static func load(_ rules: String, with tools: Tools) throws(LiveKernelError) {
        try tools.run(tools.nft, ["-f", "-"], input: rules)
    }

    /// The watch rules that fit the node's rules, which are loaded.
    private static func classes(
        _ node: LiveNode, with tools: Tools
    ) throws(LiveKernelError) -> String {
        var tracked = Set(families)
        if node.tracking == .auto {
            let listing = try tools.run(tools.nft, ["list", "ruleset"])
            tracked = TrackedFamilies(listing: listing).names
        }
        return families.map {
            tracked.contains($0) ? WatchRules.classes($0) : WatchRules.passages($0)
        }.joined()
    }
}
