import Conntrack
import Report
import Scenario
import Wire

// What a node's table holds before the first packet: saved from a real machine, or made up.

extension WorldBuilder {
    func fillTable(_ tracked: TrackedNode, _ node: Scenario.Node) throws(WorldError) {
        if let saved = node.savedTable {
            var taken = SavedTableSummary(file: saved.file, entries: saved.lines.count)
            for line in saved.lines {
                var entry = line.entry
                entry.remainingTicks = Int32(clamping: node.tickRate.ticks(seconds: line.seconds))
                let isTaken = tracked.node.restore(entry, at: .start)
                if !isTaken { taken.refused += 1 }
                if isTaken, line.hasHelper { taken.withoutHelper += 1 }
            }
            tracked.savedTable = taken
        }
        for made in node.initialEntries { try fill(tracked, node, made) }
    }

    private func fill(
        _ tracked: TrackedNode, _ node: Scenario.Node, _ made: Scenario.InitialEntries
    ) throws(WorldError) {
        var sources: [(family: Family, first: Address, count: Int)] = []
        for member in groups[made.source] ?? [] {
            sources += members[member].allAddresses.map { ($0.family, $0.first, $0.count) }
        }
        guard let target = destination(of: made.target, sources.first?.family ?? .ipv4),
            !sources.isEmpty
        else {
            throw WorldError(description: "initial entries need a source and a target address")
        }
        sources.removeAll { $0.family != target.family }
        let total = sources.reduce(0) { $0 + $1.count }
        guard total > 0 else { return }
        let seconds = made.timeout.map { UInt32(clamping: $0.nanoseconds / 1_000_000_000) }
        for number in 0..<made.count {
            let address = Self.pick(sources, number % total)
            let port = UInt16(1024 + (number / total) % 64_000)
            let protocolNumber =
                made.transport == .tcp
                ? IPProtocol.tcp : made.transport == .udp ? IPProtocol.udp : IPProtocol.icmp
            let original = Tuple(
                target.family, protocolNumber, source: address, port,
                destination: target.address,
                made.transport == .icmp ? 8 << 8 : target.port)
            guard let reply = original.inverted else { continue }
            var entry = Entry(original: original, reply: reply)
            entry.status = [.confirmed]
            if made.isAssured { entry.status.formUnion([.assured, .seenReply]) }
            if made.transport == .tcp { entry.protocolState = made.state.rawValue }
            let life = seconds ?? Self.timeout(made, node.sysctl)
            entry.remainingTicks = Int32(clamping: node.tickRate.ticks(seconds: life))
            tracked.node.restore(entry, at: .start)
        }
    }

    private static func timeout(_ made: Scenario.InitialEntries, _ sysctl: Sysctl) -> UInt32 {
        switch made.transport {
        case .tcp: tcpTimeout(made.state.rawValue, sysctl)
        case .udp: made.isAssured ? sysctl.udpTimeoutStream : sysctl.udpTimeout
        case .icmp: sysctl.icmpTimeout
        }
    }

    /// The timeouts begin with SYN_SENT, state 1; SYN_SENT2 has none of its own and lives as long.
    private static func tcpTimeout(_ state: UInt8, _ sysctl: Sysctl) -> UInt32 {
        let index = Int(state) - 1
        return sysctl.tcpTimeouts.indices.contains(index)
            ? sysctl.tcpTimeouts[index] : sysctl.tcpTimeouts[0]
    }

    private static func pick(
        _ sources: [(family: Family, first: Address, count: Int)], _ place: Int
    ) -> Address {
        var place = place
        for source in sources {
            if place < source.count {
                return Address(
                    high: source.first.high, low: source.first.low &+ UInt64(place))
            }
            place -= source.count
        }
        return sources[0].first
    }

    /// The first address and port of a target.
    private func destination(
        of target: Scenario.Target, _ family: Family
    ) -> (family: Family, address: Address, port: UInt16)? {
        switch target.host {
        case .addresses(let family, let first, _): return (family, first, target.ports.lowerBound)
        case .node(let name):
            guard let member = groups[name]?.first else { return nil }
            let all = members[member].allAddresses
            guard let own = all.first(where: { $0.family == family }) ?? all.first else {
                return nil
            }
            return (own.family, own.first, target.ports.lowerBound)
        case .service(let name), .nodePort(let name, _):
            guard let service = scenario.services.first(where: { $0.name == name }) else {
                return nil
            }
            return (service.family, service.virtualAddress, service.port)
        }
    }
}
