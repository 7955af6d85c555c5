public import Wire

// The nat stations: spec nat.md §2.

extension Node {
    /// Decides a new connection's mapping at this hook and translates the packet.
    ///
    /// Returns where the packet ended, or `nil` if it goes on.
    ///
    /// Kernel: `nf_nat_inet_fn()`.
    mutating func translate(
        _ packet: inout Packet, _ kind: NATKind, _ hook: Hook, at now: Moment
    ) -> PathEnd? {
        guard packet.connection != .none, let direction = packet.info.direction else {
            return nil
        }
        if packet.info.state == .related, packet.tuple.hasIdentifier {
            let mayPass = NAT.translateError(&packet, direction, kind, in: table)
            return mayPass ? nil : PathEnd(.dropped, .natICMP)
        }
        let isFirst = packet.info == .new || packet.info == .related
        let done = NAT.doneBit(kind)
        if isFirst, !table.records[packet.connection].status.contains(done) {
            if let end = decide(&packet, kind, hook, at: now) { return end }
        } else if table.leavesElsewhere(packet, hook) {
            table.delete(packet.connection, at: now)
            return PathEnd(.dropped, .nat)
        }
        guard NAT.wantsTranslation(table.records[packet.connection].status, direction, kind) else {
            return nil
        }
        let before = packet.tuple
        let target = table.tuple(of: packet.connection, direction.opposite).inverted
        let mayPass = NAT.translate(&packet, kind, into: target ?? before)
        if table.journal.explains, before != packet.tuple {
            table.journal.steps.append(.translated(before, into: packet.tuple))
        }
        return mayPass ? nil : PathEnd(.dropped, .nat)
    }

    /// Asks the nat chains of the hook until one maps; otherwise the connection keeps what it has,
    /// and only a clash changes its port.
    private mutating func decide(
        _ packet: inout Packet, _ kind: NATKind, _ hook: Hook, at now: Moment
    ) -> PathEnd? {
        let slot = packet.connection
        for chain in plan.natChains(at: hook, packet.tuple.family) {
            switch ask(chain, hook, &packet, at: now) {
            case .accept: continue
            case .drop(let rule): return PathEnd(.dropped, .rule, rule)
            case .reject(let answer, let rule):
                return reject(packet, answer, rule, hook, at: now)
            case .map(let target, let rule):
                switch range(of: target, &packet, hook) {
                case .leave: continue
                case .refuse: return PathEnd(.dropped, .nat, rule)
                case .map(let range):
                    // A connection from before the rule stays unmapped, and tied to no interface.
                    if case .masquerade = target,
                        !table.records[slot].status.contains(.confirmed)
                    {
                        table.rememberEgress(packet.outInterface, slot)
                    }
                    packet.lacksPort = map(slot, range, kind, rule, at: now)
                    return nil
                }
            }
        }
        if !table.journal.explains, NAT.keep(slot, kind, in: &table, at: now) {
            packet.lacksPort = false
            return nil
        }
        packet.lacksPort = map(
            slot, NAT.nullRange(table.tuple(of: slot, .reply), kind), kind, nil, at: now)
        return nil
    }

    /// Returns whether the mapping is known to be taken already.
    private mutating func map(
        _ slot: Slot, _ range: NATRange, _ kind: NATKind, _ rule: RuleReference?, at now: Moment
    ) -> Bool {
        let before = table.journal.explains ? table.tuple(of: slot, .reply).inverted : nil
        let isTaken = NAT.setUp(slot, range, kind, in: &table, at: now)
        if let before { explainMapping(slot, range, kind, rule, before) }
        return isTaken
    }

    private enum Mapping {
        case map(NATRange)
        /// The rule does not apply to this packet.
        case leave
        /// There is no address to map to.
        case refuse
    }

    /// The range a rule stands for, with the addresses of this node filled in.
    ///
    /// It changes neither the node nor the packet; both are large and would be copied otherwise.
    private mutating func range(
        of target: NATTarget, _ packet: inout Packet, _ hook: Hook
    ) -> Mapping {
        let family = packet.tuple.family
        switch target {
        case .source(let range), .destination(let range):
            return .map(range)
        case .masquerade(let range):
            if family == .ipv4, packet.tuple.source == .zero { return .leave }
            let place = routing.ipv4[packet.tuple.destination.ipv4]
            if family == .ipv4, place.preferredSource != 0,
                place.destination == .interface(packet.outInterface)
            {
                return Self.filled(range, Address(ipv4: place.preferredSource))
            }
            return Self.filled(range, sourceAddress(on: packet.outInterface, for: packet.tuple))
        case .redirect(let range):
            let loopback =
                family == .ipv4 ? Address(ipv4: 0x7f00_0001) : Address(high: 0, low: 1)
            let address =
                hook == .output ? loopback : primaryAddress(of: packet.inInterface, family)
            return Self.filled(range, address)
        }
    }

    private static func filled(_ range: NATRange, _ address: Address?) -> Mapping {
        guard let address else { return .refuse }
        var range = range
        range.flags.insert(.addresses)
        range.firstAddress = address
        range.lastAddress = address
        return .map(range)
    }

    /// The first address of a family an interface has.
    func primaryAddress(of interface: InterfaceIndex, _ family: Family) -> Address? {
        guard interface != .none else { return nil }
        for prefix in configuration.interfaces[Int(interface.raw)].addresses
        where prefix.family == family {
            return prefix.address
        }
        return nil
    }

    /// The address of an interface that masquerading takes for packets like this.
    ///
    /// IPv4: the first in the subnet of the next hop, or else the first of all. IPv6: the one with
    /// the longest prefix in common with the destination, the first among equals, and link-local
    /// ones only for link-local destinations. Observed on 6.18. A next hop is the destination itself
    /// here: routes of the model name no gateways.
    func sourceAddress(on interface: InterfaceIndex, for tuple: Tuple) -> Address? {
        guard interface != .none else { return nil }
        return tuple.family == .ipv4
            ? ipv4SourceAddress(on: interface, for: tuple)
            : ipv6SourceAddress(on: interface, for: tuple)
    }

    private func ipv4SourceAddress(on interface: InterfaceIndex, for tuple: Tuple) -> Address? {
        for prefix in configuration.interfaces[Int(interface.raw)].addresses
        where prefix.family == .ipv4 && prefix.contains(tuple.destination, .ipv4) {
            return prefix.address
        }
        return primaryAddress(of: interface, .ipv4)
    }

    private func ipv6SourceAddress(on interface: InterfaceIndex, for tuple: Tuple) -> Address? {
        let linkLocal = Prefix(.ipv6, Address(high: 0xfe80 << 48, low: 0), length: 10)
        let isLocalScope = linkLocal.contains(tuple.destination, .ipv6)
        var best: (address: Address, length: Int)?
        for prefix in configuration.interfaces[Int(interface.raw)].addresses
        where prefix.family == .ipv6
            && linkLocal.contains(prefix.address, .ipv6) == isLocalScope
        {
            let length = min(prefix.length, prefix.address.commonBits(with: tuple.destination))
            if length > best?.length ?? -1 { best = (prefix.address, length) }
        }
        return best?.address ?? primaryAddress(of: interface, .ipv6)
    }
}

extension Address {
    /// How many leading bits two IPv6 addresses share.
    fileprivate func commonBits(with other: Address) -> Int {
        high == other.high
            ? 64 + (low ^ other.low).leadingZeroBitCount : (high ^ other.high).leadingZeroBitCount
    }
}

extension ConnectionTable {
    /// Notes the interface a masqueraded connection leaves by.
    mutating func rememberEgress(_ interface: InterfaceIndex, _ slot: Slot) {
        if records[slot].extensionIndex == UInt32.max {
            records[slot].extensionIndex = extensions.insert(ConnectionExtension(parts: .nat))
        }
        let index = records[slot].extensionIndex
        extensions[index].parts.insert(.nat)
        extensions[index].masqueradeInterface = interface
    }

    /// Whether a masqueraded connection's packet is about to leave by another interface than the
    /// one it was masqueraded for (spec nat.md §2 step 5).
    func leavesElsewhere(_ packet: Packet, _ hook: Hook) -> Bool {
        guard hook == .postrouting, packet.info.direction == .original else { return false }
        let index = records[packet.connection].extensionIndex
        guard index != UInt32.max, extensions[index].parts.contains(.nat) else { return false }
        return extensions[index].masqueradeInterface != packet.outInterface
    }

    /// Removes the connections masqueraded for an interface: it went down, or (with `address`) lost
    /// that address (spec nat.md §8).
    ///
    /// Returns how many.
    @discardableResult
    public mutating func flushMasqueraded(
        _ interface: InterfaceIndex, losing address: Address?, at now: Moment
    ) -> Int {
        var victims: [Slot] = []
        forEachConnection { slot, record in
            guard record.extensionIndex != UInt32.max else { return }
            let block = extensions[record.extensionIndex]
            guard block.parts.contains(.nat), block.masqueradeInterface == interface else {
                return
            }
            if let address, tuple(record, .reply).destination != address { return }
            victims.append(slot)
        }
        return victims.filter { delete($0, at: now) }.count
    }
}
