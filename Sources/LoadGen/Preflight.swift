internal import LinuxCalls
internal import Wire

/// What may keep a run from being what it was meant to be, and how to mend it, before it begins.
public enum Preflight {
    /// One sentence each.
    ///
    /// - Parameters:
    ///   - processes: How many there will be; `nil` for as many as it takes.
    ///   - descriptorLimit: Descriptors each may have.
    public static func remarks(
        _ plan: Plan, processes: Int?, descriptorLimit: Int
    ) -> [String] {
        var lines: [String] = []
        let needed = LoadRun.processCount(for: plan, descriptorLimit: descriptorLimit)
        let most = LoadRun.mostProcesses
        let count = processes ?? min(needed, most)
        if count < needed {
            let room = count * max(1, descriptorLimit - LoadRun.spareDescriptors)
            let mend = needed <= most ? "leave --processes out for \(needed), or " : ""
            lines.append(
                "about \(plan.expectedFlows) connections at a time are expected, and \(count) "
                    + "processes of \(descriptorLimit) descriptors have room for \(room); \(mend)"
                    + "raise the limit: ulimit -n")
        }
        for (index, workload) in plan.workloads.enumerated() {
            if workload.ending == .abandon, workload.transport == .tcp, !ProcessOwner.isRoot {
                lines.append(
                    "\(workload.name): abandoning a connection silently needs CAP_NET_ADMIN; run "
                        + "with sudo, or choose another ending")
            }
            if let remark = sources(workload), !lines.contains(remark) { lines.append(remark) }
            if let remark = ports(workload) { lines.append(remark) }
            if let remark = sockets(plan.part(0, of: count).workloads[index], room: descriptorLimit)
            {
                lines.append(remark)
            }
            let tuples = plan.tupleCount(ofWorkload: index, processes: count)
            if let remark = repetition(workload, tuples, plan.duration) { lines.append(remark) }
        }
        return lines
    }

    /// Whether this machine's own table has room for so many flows; of a run that is not about it.
    ///
    /// Whether it tracks them at all is not known beforehand.
    public static func ownTable(_ flows: Int) -> String? {
        let setting = "net.netfilter.nf_conntrack_max"
        guard let limit = (try? SysctlFile.read(setting)).flatMap({ Int($0) }), limit > 0,
            flows > limit
        else { return nil }
        return "\(flows) flows are planned, and this machine's own table holds \(limit): where it "
            + "tracks them, it is full first; fewer flows, or sysctl -w \(setting)=\(2 * flows)"
    }

    /// How many of its source ports a workload of datagrams can have on its first address, and what
    /// kept it from more; found by taking them, and giving them back.
    public static func sourcePorts(
        for workload: LoadWorkload
    ) -> (count: Int, obstacle: FailureCount?) {
        let family = workload.target.addresses.family
        let none = family == .ipv4 ? Address(ipv4: 0) : Address(high: 0, low: 0)
        let source = SocketAddress(family, workload.sources?.first ?? none, port: 0)
        var sockets = DatagramTable()
        while sockets.count < workload.sourcePortCount {
            do throws(SocketFailure) {
                try sockets.bind(source)
            } catch {
                // What else fails is said by the run.
                guard error.isPortInUse else { break }
                return (
                    sockets.count, FailureCount(failure: error, count: 1, peer: "\(source)")
                )
            }
        }
        return (workload.sourcePortCount, nil)
    }

    /// Whether the ends of the source addresses are this machine's.
    private static func sources(_ workload: LoadWorkload) -> String? {
        guard let pool = workload.sources else { return nil }
        for address in [pool.first, pool.last] {
            var sockets = DatagramTable()
            do throws(SocketFailure) {
                try sockets.bind(SocketAddress(pool.family, address, port: 0))
            } catch {
                guard error.isForeignSource else { continue }
                let text = address.text(pool.family)
                let prefix = "\(text)/\(pool.family.addressBits)"
                return
                    "--sources: \(text) is no address of this machine; leave it out, or make it one: "
                    + "ip address add \(prefix) dev lo"
            }
        }
        return nil
    }

    /// Whether a process has descriptors for the datagram sockets of its part of a workload: one for
    /// each source port.
    public static func sockets(_ workload: LoadWorkload, room descriptorLimit: Int) -> String? {
        guard workload.transport == .udp else { return nil }
        let sockets = workload.sourcePortCount * (workload.sources?.count ?? 1)
        let room = descriptorLimit - LoadRun.spareDescriptors
        guard sockets > room else { return nil }
        return
            "\(workload.name): \(sockets) sockets are needed, and a process of \(descriptorLimit) "
            + "descriptors has room for \(room); give --target a range, such as ADDRESS:9000-9099, or "
            + "raise the limit: ulimit -n"
    }

    /// Whether five-tuples, of which so many are `different`, will be used a second time, and what
    /// becomes of it: a flow is a pair of ends.
    private static func repetition(
        _ workload: LoadWorkload, _ different: Int, _ duration: UInt64
    ) -> String? {
        guard workload.isFanout, case .open(let arrivals) = workload.model else { return nil }
        let seconds = Double(duration) / 1e9
        let planned = arrivals.arrivals(within: seconds)
        let sources = workload.sources?.count ?? 1
        var wanted = planned
        var outcome = ""
        switch workload.reuse {
        case .cycle: break
        case .never:
            let end = arrivals.seconds(untilArrivals: Double(different))
            outcome = "the rest is dropped, from second \(Int(end)) on"
        case .after(let rest):
            wanted = min(planned, arrivals.peakPerSecond * rest)
            outcome =
                "each rests \(rest) s, in which up to \(Int(wanted)) begin; those that find none "
                + "rested are dropped"
        }
        guard wanted > Double(different) else { return nil }
        let ports = different / (sources * workload.target.count)
        let enough = Int((wanted / Double(sources * workload.target.count)).rounded(.up))
        return
            "\(workload.name): about \(Int(planned)) flows are planned, of which \(different) can "
            + "differ (source addresses \(sources) × source ports \(ports) "
            + "× destinations \(workload.target.count)); " + (outcome.isEmpty ? "" : outcome + "; ")
            + "give --target a range, such as ADDRESS/24:9000-9099, or --quick fanout --source-ports "
            + "\(enough)"
    }

    /// Whether source ports will do.
    private static func ports(_ workload: LoadWorkload) -> String? {
        guard workload.transport == .tcp,
            let range = try? SysctlFile.read("net.ipv4.ip_local_port_range")
        else { return nil }
        let bounds = range.split { " \t".contains($0) }.compactMap { Int($0) }
        guard bounds.count == 2, bounds[1] >= bounds[0] else { return nil }
        let each = bounds[1] - bounds[0] + 1
        let pairs = (workload.sources?.count ?? 1) * workload.target.count
        let needed: Double
        switch workload.model {
        case .held(let count, _): needed = Double(count)
        case .population(let stages): needed = Double(Plan.peak(stages))
        case .open(let arrivals):
            // A client that closes first keeps its port for a minute.
            let wait = workload.ending == .clientFIN ? min(60, arrivals.totalSeconds) : 0
            needed = arrivals.peakPerSecond * (workload.hold.meanSeconds + wait)
        }
        guard needed > Double(each * pairs) else { return nil }
        let addresses = Int((needed / Double(each * workload.target.count)).rounded(.up))
        return
            "\(workload.name): about \(Int(needed)) source ports are needed, and \(each * pairs) "
            + "are there; give \(addresses) source addresses (--sources), or more ports: sysctl -w "
            + "net.ipv4.ip_local_port_range='1024 65535'"
    }
}
