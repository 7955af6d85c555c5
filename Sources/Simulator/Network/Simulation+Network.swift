import Conntrack
import Scenario
import Wire

// From one machine to the next: out of a socket, through the sender's own tracker if it has one,
// over a link, through the receiver's CPUs and tracker, into a socket or on.

extension Simulation {
    // MARK: Out of a host

    /// Sends a TCP segment of a socket.
    @inline(__always)
    mutating func send(_ segment: TCPSegment, payload: UInt32, from index: UInt32) {
        send(
            segment, payload: payload, sockets[index].key.tuple,
            from: Int(sockets[index].key.station), to: sockets[index].peer,
            sockets[index].exchange, sender: index)
    }

    /// Sends a TCP segment from a host.
    mutating func send(
        _ segment: TCPSegment, payload: UInt32, _ tuple: Tuple, from station: Int,
        to receiver: UInt32, _ exchange: ExchangeReference, sender: UInt32 = .max
    ) {
        let transport = UInt32(segment.headerByteCount) &+ payload
        var packet = Packet(
            tuple: tuple, networkByteCount: transport &+ Self.headerByteCount(tuple.family),
            transportByteCount: transport)
        packet.tcp = segment
        packet.tcp.sackEdge = segment.acknowledgment
        packet.health = .dontFragment
        transmit(Flight(packet, sender: sender, receiver: receiver, exchange), from: station)
    }

    @inline(__always)
    static func headerByteCount(_ family: Family) -> UInt32 { family == .ipv4 ? 20 : 40 }

    /// Hands a packet of a host's own to its network.
    ///
    /// Returns false where the host itself refused it.
    @discardableResult
    mutating func transmit(_ flight: Flight, from station: Int) -> Bool {
        guard !facts[station].isDead else { return false }
        packetCount &+= 1
        stats[station].sent &+= 1
        if flight.exchange.workload != .max {
            let workload = Int(flight.exchange.workload)
            workloads[workload].stats.packetsSent &+= 1
            workloads[workload].stats.bytesSent &+= UInt64(flight.packet.networkByteCount)
        }
        let tracker = Int(facts[station].tracker)
        guard tracker >= 0 else {
            guard let link = link(from: station, to: flight.packet.tuple) else {
                drop(flight, PacketFate.of(.noRoute), at: station)
                return false
            }
            if !captures.isEmpty {
                tell(
                    flight.packet, capturedAt: station, links[link].ownInterface,
                    isIncoming: false)
            }
            carry(flights.insert(flight), over: link, from: station)
            return true
        }
        let index = flights.insert(flight)
        let end = trackers[tracker].node.send(
            &flights[index].packet, at: Instant(nanoseconds: now))
        switch end.verdict {
        case .forwarded:
            forward(index, from: station)
            return true
        case .local:
            arrive(take(index), at: station)
            return true
        case .dropped:
            dropped(take(index), at: trackers[tracker], end)
            return false
        }
    }

    /// Takes a packet out of those on their way.
    @inline(__always)
    private mutating func take(_ index: UInt32) -> Flight {
        defer { flights.release(index) }
        return flights[index]
    }

    /// The link by which an untracked host sends.
    ///
    /// Inlined: a call that borrows the simulation copies all of it.
    @inline(__always)
    private func link(from station: Int, to tuple: Tuple) -> Int? {
        let first = Int(facts[station].firstLink)
        if facts[station].linkCount == 1 { return first }
        for route in routes[station] where route.contains(tuple.destination, tuple.family) {
            return first + Int(route.link)
        }
        return facts[station].linkCount > 0 ? first : nil
    }

    /// Sends a packet out by the interface its tracker chose; it keeps its place.
    private mutating func forward(_ index: UInt32, from station: Int) {
        let interface = flights[index].packet.outInterface.raw
        if !captures.isEmpty {
            tell(flights[index].packet, capturedAt: station, interface, isIncoming: false)
        }
        let first = Int(facts[station].firstLink)
        let count = Int(facts[station].linkCount)
        if count == 1 { return carry(index, over: first, from: station) }
        var only = -1
        var hasSeveral = false
        for link in first..<first + count where links[link].ownInterface == interface {
            hasSeveral = only >= 0
            if hasSeveral { break }
            only = link
        }
        if only >= 0, !hasSeveral { return carry(index, over: only, from: station) }
        // An interface with several links is a segment: the route says who is next.
        let tuple = flights[index].packet.tuple
        for route in routes[station] where route.contains(tuple.destination, tuple.family) {
            let link = first + Int(route.link)
            if links[link].ownInterface == interface {
                return carry(index, over: link, from: station)
            }
        }
        drop(take(index), PacketFate.of(.noRoute), at: station)
    }

    /// A packet ends here.
    mutating func drop(_ flight: Flight, _ fate: Int, at station: Int) {
        stats[station].dropped[fate] &+= 1
        let workload = flight.exchange.workload
        if workload != .max { workloads[Int(workload)].stats.dropped[fate] &+= 1 }
    }

    // MARK: Over a link

    /// Puts a packet on a link; where it is not lost, an event will bring it to the other end.
    @inline(__always)
    private mutating func carry(_ index: UInt32, over link: Int, from station: Int) {
        hops &+= 1
        let passage = links[link].carry(
            byteCount: flights[index].packet.networkByteCount, at: now, &linkChance)
        guard passage.fate < 0 else {
            return drop(take(index), Int(passage.fate), at: station)
        }
        flights[index].place = UInt32(truncatingIfNeeded: link)
        queue.push(Event(.arrival, at: passage.arrival, index))
        if passage.copyArrival != .max {
            queue.push(Event(.arrival, at: passage.copyArrival, flights.insert(flights[index])))
        }
    }

    /// A packet has reached the other end of its link.
    mutating func arrival(_ event: Event) {
        let index = event.index
        let link = Int(flights[index].place)
        let station = Int(links[link].station)
        guard !facts[station].isDead else {
            drop(flights[index], PacketFate.hostGone, at: station)
            return flights.release(index)
        }
        stats[station].received &+= 1
        stats[station].bytesReceived &+= UInt64(flights[index].packet.networkByteCount)
        let tracker = Int(facts[station].tracker)
        guard tracker >= 0 else {
            let flight = flights[index]
            flights.release(index)
            if !captures.isEmpty {
                tell(flight.packet, capturedAt: station, links[link].interface, isIncoming: true)
            }
            if isOwn(flight.packet.tuple.destination, flight.packet.tuple.family, station) {
                stats[station].local &+= 1
                arrive(flight, at: station)
            } else {
                drop(flight, PacketFate.hostGone, at: station)
            }
            return
        }
        flights[index].packet.inInterface = InterfaceIndex(links[link].interface)
        flights[index].packet.outInterface = .none
        flights[index].packet.info = .none
        flights[index].packet.mark = 0
        flights[index].packet.health.remove(.local)
        let home = trackers[tracker]
        if !captures.isEmpty {
            tell(
                flights[index].packet, capturedAt: station, links[link].interface,
                isIncoming: true)
        }
        if !home.frontEnds.isEmpty, home.dropsReusedPort(flights[index].packet, at: now) {
            drop(flights[index], PacketFate.of(.rule), at: station)
            return flights.release(index)
        }
        if home.isInstant {
            let end = home.node.receive(&flights[index].packet, at: Instant(nanoseconds: now))
            leave(index, home, end)
        } else {
            enqueue(index, home)
        }
    }

    /// Whether a host without tracker has the address.
    @inline(__always)
    func isOwn(_ address: Address, _ family: Family, _ station: Int) -> Bool {
        let first = Int(facts[station].firstPrefix)
        for place in first..<first + Int(facts[station].prefixCount)
        where prefixes[place].contains(address, family) {
            return true
        }
        return false
    }

    // MARK: Through a tracked node

    /// A packet waits for its CPU, or is begun at once.
    private mutating func enqueue(_ index: UInt32, _ home: TrackedNode) {
        let cpu = home.cpu(for: flights[index].packet.tuple)
        if !home.cpus[cpu].isBusy { return begin(index, home, cpu) }
        guard home.cpus[cpu].waiting.count - home.cpus[cpu].head < CPUState.backlog else {
            drop(flights[index], PacketFate.backlog, at: home.station)
            return flights.release(index)
        }
        home.cpus[cpu].waiting.append(index)
    }

    // A CPU works on a packet in up to three steps: it takes it up to the last hook, then through
    // source translation, then through confirmation. Time passes between the steps, and the other
    // CPUs' packets with it.

    /// A CPU takes a packet up to its last hook.
    private mutating func begin(_ index: UInt32, _ home: TrackedNode, _ cpu: Int) {
        let end = home.node.begin(&flights[index].packet, at: Instant(nanoseconds: now))
        home.cpus[cpu].isBusy = true
        flights[index].place = UInt32(truncatingIfNeeded: facts[home.station].tracker)
        // A packet that ended early has kept its CPU busy all the same.
        if let end { leave(index, home, end) }
        let time = home.processingTime()
        stats[home.station].busy &+= time
        queue.push(
            Event(
                .processed, at: now + time, end == nil ? index : .max,
                extra: UInt32(truncatingIfNeeded: facts[home.station].tracker),
                small: UInt16(truncatingIfNeeded: cpu)))
    }

    /// A packet is at its last hook: through all of it, or to where its source is chosen.
    mutating func processed(_ event: Event) {
        let home = trackers[Int(event.extra)]
        let moment = Instant(nanoseconds: now)
        if event.index == .max {
            // It ended before.
        } else if home.confirming == .constant(0) {
            let end = home.node.finish(&flights[event.index].packet, at: moment)
            leave(event.index, home, end)
        } else if let end = home.node.reachConfirmation(
            &flights[event.index].packet, at: moment)
        {
            leave(event.index, home, end)
        } else {
            let time = home.confirmingTime()
            stats[home.station].busy &+= time
            queue.push(
                Event(
                    .confirmed, at: now + time, event.index, extra: event.extra,
                    small: event.small))
            return
        }
        takeNext(home, Int(event.small))
    }

    /// A packet is at its confirmation.
    mutating func confirmed(_ event: Event) {
        let home = trackers[Int(event.extra)]
        let end = home.node.confirmAndLeave(
            &flights[event.index].packet, at: Instant(nanoseconds: now))
        leave(event.index, home, end)
        takeNext(home, Int(event.small))
    }

    /// A CPU is done with a packet, and begins the next one that waits.
    private mutating func takeNext(_ home: TrackedNode, _ cpu: Int) {
        home.cpus[cpu].isBusy = false
        guard home.cpus[cpu].head < home.cpus[cpu].waiting.count else { return }
        let next = home.cpus[cpu].waiting[home.cpus[cpu].head]
        home.cpus[cpu].head += 1
        if home.cpus[cpu].head == home.cpus[cpu].waiting.count {
            home.cpus[cpu].waiting.removeAll(keepingCapacity: true)
            home.cpus[cpu].head = 0
        }
        begin(next, home, cpu)
    }

    /// A packet's way through a node has ended: on, in, or nowhere.
    @inline(__always)
    private mutating func leave(_ index: UInt32, _ home: TrackedNode, _ end: PathEnd) {
        if flights[index].packet.info == .invalid { stats[home.station].invalid &+= 1 }
        switch end.verdict {
        case .forwarded:
            stats[home.station].forwarded &+= 1
            stats[home.station].bytesForwarded &+= UInt64(flights[index].packet.networkByteCount)
            forward(index, from: home.station)
        case .local:
            stats[home.station].local &+= 1
            arrive(take(index), at: home.station)
        case .dropped:
            dropped(take(index), at: home, end)
        }
    }

    /// A tracked node has dropped a packet; a `reject` tells its sender.
    private mutating func dropped(_ flight: Flight, at home: TrackedNode, _ end: PathEnd) {
        if let reason = end.reason {
            drop(flight, PacketFate.of(reason), at: home.station)
            if reason == .tableFull { noteRefusal(home) }
        }
        guard end.reason == .rejected else { return }
        for answer in home.node.answers {
            send(answer, about: flight, from: home)
        }
    }

    /// Sends on what a node has answered to a packet that one of its rules refused.
    private mutating func send(_ answer: Answer, about flight: Flight, from home: TrackedNode) {
        var message = flight
        message.packet = answer.packet
        message.receiver = flight.sender
        message.sender = .max
        packetCount &+= 1
        stats[home.station].sent &+= 1
        stats[home.station].answers &+= 1
        switch answer.end.verdict {
        case .forwarded: forward(flights.insert(message), from: home.station)
        case .local: arrive(message, at: home.station)
        case .dropped:
            if let reason = answer.end.reason {
                drop(message, PacketFate.of(reason), at: home.station)
            }
        }
    }

    /// A full table refused a packet.
    private mutating func noteRefusal(_ home: TrackedNode) {
        home.latestRefusal = now
        guard home.firstRefusal == nil else { return }
        home.firstRefusal = now
        home.contentsAtRefusal = contents(of: home)
    }

    // MARK: Into a host

    /// A packet has reached a host that has its destination address.
    mutating func arrive(_ flight: Flight, at station: Int) {
        let workload = flight.exchange.workload
        if workload != .max { workloads[Int(workload)].stats.packetsDelivered &+= 1 }
        switch flight.packet.tuple.protocolNumber {
        case IPProtocol.tcp: receiveTCP(flight, at: station)
        case IPProtocol.udp: receiveDatagram(flight, at: station)
        case IPProtocol.icmp, IPProtocol.icmpv6: receiveMessage(flight, at: station)
        default: break
        }
    }

    /// The listener of a port.
    @inline(__always)
    func listener(_ station: Int, _ protocolNumber: UInt8, _ port: UInt16) -> UInt32? {
        let first = facts[station].firstListener
        for place in first..<first + facts[station].listenerCount
        where listeners[Int(place)].ports.contains(port)
            && listeners[Int(place)].protocolNumber == protocolNumber
        {
            return listeners[Int(place)].behaviour == .refuse ? nil : place
        }
        return nil
    }
}
