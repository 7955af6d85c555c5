import Conntrack
import Scenario
import Wire

// UDP between hosts, and the ICMP messages that say a datagram or segment went nowhere.

extension Simulation {
    /// Opens a socket for datagrams, or echo requests, towards one destination.
    ///
    /// `port`: the local port; one that is open already is used by both. 0 takes a free one.
    /// Returns `nil` where none is free.
    mutating func openDatagram(
        _ station: Int, _ transport: Scenario.Transport, from local: Address, port: UInt16,
        to remote: Address, _ remotePort: UInt16, _ family: Family,
        _ exchange: ExchangeReference, _ choice: Scenario.Flow.SourcePort
    ) -> UInt32? {
        let echo = family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6
        var key = SocketKey(
            station, transport == .icmp ? echo : IPProtocol.udp, family, local: local, port,
            remote: remote, remotePort)
        var lane = UInt32.max
        if port == 0 {
            guard
                let taken = sockets.takePort(
                    for: key, facts[station].ports, choice, reusingFrom: nil, &dice)
            else { return nil }
            key.localPort = taken.port
            lane = taken.lane
        } else if case .socket(let shared) = sockets.find(key, hint: .max) {
            sockets[shared].receiveNext &+= 1
            return shared
        }
        var socket = Socket(
            key, .datagram, isServer: false, sequence: 0,
            generation: sockets.nextGeneration(), exchange, at: now)
        socket.lane = lane
        socket.receiveNext = 1  // How many use it.
        return sockets.insert(socket)
    }

    /// One user of a datagram socket closes it.
    mutating func closeDatagram(_ index: UInt32) {
        sockets[index].receiveNext &-= 1
        if sockets[index].receiveNext == 0 { sockets.remove(index) }
    }

    /// Sends a datagram, or an echo request, of a socket; false where the host itself refused it.
    @discardableResult
    mutating func sendDatagram(
        _ byteCount: UInt32, question: UInt8, from index: UInt32, _ exchange: ExchangeReference
    ) -> Bool {
        var tuple = sockets[index].key.tuple
        if tuple.protocolNumber != IPProtocol.udp {
            tuple.destinationPart = tuple.family == .ipv4 ? 8 << 8 : 128 << 8
        }
        return sendDatagram(
            byteCount, question: question, tuple, from: Int(sockets[index].key.station),
            to: .max, exchange, sender: index)
    }

    @discardableResult
    mutating func sendDatagram(
        _ byteCount: UInt32, question: UInt8, _ tuple: Tuple, from station: Int,
        to receiver: UInt32, _ exchange: ExchangeReference, sender: UInt32 = .max
    ) -> Bool {
        let transport = byteCount &+ 8
        var packet = Packet(
            tuple: tuple, networkByteCount: transport &+ Self.headerByteCount(tuple.family),
            transportByteCount: transport)
        if tuple.protocolNumber == IPProtocol.udp {
            packet.lengthField = UInt16(clamping: transport)
        }
        var flight = Flight(packet, sender: sender, receiver: receiver, exchange)
        flight.question = question
        return transmit(flight, from: station)
    }

    /// A datagram has come to a host.
    mutating func receiveDatagram(_ flight: Flight, at station: Int) {
        let key = SocketKey(receiving: flight.packet.tuple, at: station)
        if case .socket(let index) = sockets.find(key, hint: flight.receiver) {
            return answered(flight, index)
        }
        if let listener = listener(
            station, IPProtocol.udp, flight.packet.tuple.destinationPart)
        {
            return serveDatagram(flight, listener, station)
        }
        if facts[station].rejectsClosedPorts {
            let code: UInt8 = flight.packet.tuple.family == .ipv4 ? 3 : 4
            sendUnreachable(about: flight, code: code, from: station)
        }
    }

    /// Sends an ICMP destination unreachable that quotes a packet to its source.
    mutating func sendUnreachable(about flight: Flight, code: UInt8, from station: Int) {
        let tuple = flight.packet.tuple
        guard !isMessage(tuple) else { return }
        let isIPv4 = tuple.family == .ipv4
        let type: UInt16 = isIPv4 ? 3 : 1
        let answer = Tuple(
            tuple.family, isIPv4 ? IPProtocol.icmp : IPProtocol.icmpv6, source: tuple.destination,
            0, destination: tuple.source, type << 8 | UInt16(code))
        let quoted = min(flight.packet.networkByteCount, isIPv4 ? 548 : 1184)
        let transport = 8 &+ quoted
        var packet = Packet(
            tuple: answer, networkByteCount: transport &+ Self.headerByteCount(tuple.family),
            transportByteCount: transport)
        packet.health = .quotesTuple
        packet.quoted = tuple
        packet.quotedByteCount = UInt16(
            clamping: quoted &- Self.headerByteCount(tuple.family))
        packet.typeOfService = 0xc0
        let message = Flight(packet, sender: .max, receiver: flight.sender, flight.exchange)
        transmit(message, from: station)
    }

    private func isMessage(_ tuple: Tuple) -> Bool {
        tuple.protocolNumber == IPProtocol.icmp || tuple.protocolNumber == IPProtocol.icmpv6
    }

    /// An ICMP message has come to a host: an error is told to the socket it is about.
    mutating func receiveMessage(_ flight: Flight, at station: Int) {
        let packet = flight.packet
        guard packet.health.contains(.quotesTuple) else { return echo(flight, station) }
        guard let quoted = packet.quoted.inverted else { return }
        let key = SocketKey(receiving: quoted, at: station)
        guard case .socket(let index) = sockets.find(key, hint: flight.receiver) else { return }
        switch sockets[index].state {
        case .datagram: datagramFailed(flight, index)
        case .synSent: fail(index, .unreachable)
        default: break  // A connection that stands takes it as a hint and goes on.
        }
    }

    /// An echo request is answered; an echo reply is for the socket with its identifier.
    private mutating func echo(_ flight: Flight, _ station: Int) {
        let tuple = flight.packet.tuple
        let isIPv4 = tuple.family == .ipv4
        if tuple.icmpType == (isIPv4 ? 8 : 128), let answer = tuple.inverted {
            sendDatagram(
                flight.packet.transportByteCount &- 8, question: flight.question, answer,
                from: station, to: flight.sender, flight.exchange)
        } else if tuple.icmpType == (isIPv4 ? 0 : 129) {
            var key = SocketKey(receiving: tuple, at: station)
            key.localPort = tuple.sourcePart
            key.remotePort = 0
            if case .socket(let index) = sockets.find(key, hint: flight.receiver) {
                answered(flight, index)
            }
        }
    }
}
