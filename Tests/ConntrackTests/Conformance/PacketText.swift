import Testing
import Wire

@testable import Conntrack

// Packets as one line of text, both ways.

/// Makes packets of what a line says: "10.1.0.2:1000 > 10.2.0.2:80", "[fd01::2]:1 > [fd02::2]:2";
/// without ports for protocols that have none.
enum Make {
    static func udp(
        _ flow: String, payload: [UInt8] = [1], _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [UInt8] {
        let flow = Flow(flow)
        return flow.builder(change).udp(
            from: flow.sourcePort, to: flow.destinationPort, payload: payload)
    }

    static func tcp(
        _ flow: String, _ flags: TCPFlags = .syn, sequence: UInt32 = 0, ack: UInt32 = 0,
        window: UInt16 = 65535, payload: [UInt8] = [],
        _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [UInt8] {
        let flow = Flow(flow)
        return flow.builder(change).tcp(
            from: flow.sourcePort, to: flow.destinationPort, flags: flags, sequence: sequence,
            acknowledgment: ack, window: window, payload: payload)
    }

    /// An echo request, or with `isReply` its answer.
    static func echo(
        _ flow: String, id: UInt16, isReply: Bool = false, payload: [UInt8] = [],
        _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [UInt8] {
        let flow = Flow(flow)
        let builder = flow.builder(change)
        let request: UInt8 = builder.family == .ipv4 ? 8 : 128
        let reply: UInt8 = builder.family == .ipv4 ? 0 : 129
        return builder.icmp(type: isReply ? reply : request, identifier: id, payload: payload)
    }

    /// An ICMP error about a packet: port unreachable unless said otherwise.
    static func error(
        _ flow: String, about packet: [UInt8], type: UInt8? = nil, code: UInt8? = nil,
        mtu: UInt16 = 0, quoting byteCount: Int = 548,
        _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [UInt8] {
        let flow = Flow(flow)
        let builder = flow.builder(change)
        let isIPv4 = builder.family == .ipv4
        return builder.icmpError(
            type: type ?? (isIPv4 ? 3 : 1), code: code ?? (isIPv4 ? 3 : 4), mtu: mtu,
            about: packet, quoting: byteCount)
    }

    /// An SCTP packet with the chunks of `Exchange+SCTP`.
    static func sctp(
        _ flow: String, tag: UInt32, _ chunks: [Chunk],
        _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [UInt8] {
        let flow = Flow(flow)
        return flow.builder(change).sctp(
            from: flow.sourcePort, to: flow.destinationPort, tag: tag, chunks: chunks)
    }

    /// A packet of a protocol without tracker.
    static func generic(_ flow: String, _ protocolNumber: UInt8) -> [UInt8] {
        Flow(flow).builder { _ in }.packet(carrying: [1, 2, 3, 4, 5, 6, 7, 8], as: protocolNumber)
    }

    /// Who talks to whom, read from text.
    struct Flow {
        var family = Family.ipv4
        var source = Address.zero
        var sourcePort: UInt16 = 0
        var destination = Address.zero
        var destinationPort: UInt16 = 0

        init(_ text: String) {
            let ends = text.split(separator: " > ")
            precondition(ends.count == 2, "'\(text)' should read 'source > destination'")
            (family, source, sourcePort) = Self.end(ends[0])
            (family, destination, destinationPort) = Self.end(ends[1])
        }

        private static func end(_ text: Substring) -> (Family, Address, UInt16) {
            var address = text
            var port: UInt16 = 0
            let isBare =
                text.first == "[" ? text.last == "]" : text.count { $0 == ":" } != 1
            if !isBare, let colon = text.lastIndex(of: ":") {
                address = text[..<colon]
                let digits = text[text.index(after: colon)...]
                guard let number = UInt16(digits) else {
                    preconditionFailure("'\(digits)' is no port")
                }
                port = number
            }
            if address.first == "[" { address = address.dropFirst().dropLast() }
            guard let (family, value) = Address.parse(address) else {
                preconditionFailure("'\(address)' is no address")
            }
            return (family, value, port)
        }

        /// The tuple of its packets, for a protocol with ports.
        func tuple(_ protocolNumber: UInt8) -> Tuple {
            Tuple(
                family, protocolNumber, source: source, sourcePort, destination: destination,
                destinationPort)
        }

        func builder(_ change: (inout PacketBuilder) -> Void) -> PacketBuilder {
            var builder = PacketBuilder(family, from: source, to: destination)
            change(&builder)
            return builder
        }
    }
}

/// Writes packets and tuples as such lines; ICMP with its id and what an error quotes.
enum PacketText {
    static func of(_ bytes: [UInt8]) -> String {
        guard let packet = parse(bytes) else { return "unreadable" }
        var text = of(packet.tuple)
        if packet.health.contains(.quotesTuple) {
            let ends = text.prefix { $0 != "i" }
            text = "\(ends)about [\(of(packet.quoted))]"
        }
        return text
    }

    static func of(_ tuple: Tuple) -> String {
        let source = tuple.source.text(tuple.family)
        let destination = tuple.destination.text(tuple.family)
        if tuple.hasIdentifier { return "\(source) > \(destination) id \(tuple.sourcePart)" }
        guard tuple.hasPorts else { return "\(source) > \(destination)" }
        let isIPv4 = tuple.family == .ipv4
        return (isIPv4 ? source : "[\(source)]") + ":\(tuple.sourcePart) > "
            + (isIPv4 ? destination : "[\(destination)]") + ":\(tuple.destinationPart)"
    }

    static func tuple(_ bytes: [UInt8]) -> Tuple? { parse(bytes)?.tuple }

    private static func parse(_ bytes: [UInt8]) -> Packet? {
        var layout = PacketLayout()
        return try? Packet(parsing: bytes.span, verifiesChecksum: false, layout: &layout)
    }
}

/// Sums checksums from scratch, word by word: nothing of the model's arithmetic is used.
enum PacketCheck {
    /// Every checksum of the packet is right: the IPv4 header's, the transport's, and of what an
    /// ICMP error quotes the header's and, if all of it is there, the transport's.
    ///
    /// What came in with a wrong one may leave with one.
    static func expectGoodChecksums(
        _ bytes: [UInt8], from input: [UInt8], _ location: SourceLocation
    ) {
        guard defect(in: input, isQuoted: false) == nil else { return }
        if let defect = defect(in: bytes, isQuoted: false) {
            Issue.record("\(defect) of \(PacketText.of(bytes))", sourceLocation: location)
        }
    }

    /// The first checksum that is wrong.
    static func defect(in bytes: [UInt8], isQuoted: Bool) -> String? {
        guard let header = Header(bytes) else { return "unreadable header" }
        if header.isIPv4, sum(bytes[..<header.transport]) != 0xffff { return "IPv4 checksum" }
        let segment = bytes[header.transport..<min(bytes.count, header.end)]
        guard header.end <= bytes.count else { return nil }  // A quotation that was cut short.
        switch header.protocolNumber {
        case IPProtocol.icmp where header.isIPv4:
            if sum(segment) != 0xffff { return isQuoted ? "quoted ICMP checksum" : "ICMP checksum" }
        case IPProtocol.icmpv6 where !header.isIPv4:
            if sum(header.pseudo + segment) != 0xffff { return "ICMPv6 checksum" }
        case IPProtocol.tcp:
            if sum(header.pseudo + segment) != 0xffff { return "TCP checksum" }
        case IPProtocol.udp:
            let field = segment.dropFirst(6).prefix(2)
            if field.contains(where: { $0 != 0 }), sum(header.pseudo + segment) != 0xffff {
                return isQuoted ? "quoted UDP checksum" : "UDP checksum"
            }
        case IPProtocol.sctp:
            let field = segment.dropFirst(8).prefix(4)
            var zeroed = Array(segment)
            for index in 8..<12 where index < zeroed.count { zeroed[index] = 0 }
            if field.count == 4, !field.elementsEqual(crc(zeroed)) {
                return isQuoted ? "quoted SCTP CRC" : "SCTP CRC"
            }
        default: break
        }
        guard !isQuoted, header.quotes(segment) else { return nil }
        return defect(in: Array(segment.dropFirst(8)), isQuoted: true)
    }

    /// The one's complement sum of 16-bit words; 0xffff over bytes that hold a right checksum.
    static func sum(_ bytes: some Sequence<UInt8>) -> Int {
        var total = 0
        for (index, byte) in bytes.enumerated() {
            total += index % 2 == 0 ? Int(byte) * 256 : Int(byte)
        }
        while total > 0xffff { total = total % 65536 + total / 65536 }
        return total
    }

    /// CRC32c bit by bit, as it stands in a packet: lowest byte first.
    static func crc(_ bytes: [UInt8]) -> [UInt8] {
        var remainder = UInt32.max
        for byte in bytes {
            for bit in 0..<8 {
                let isOdd = (remainder ^ UInt32(byte) >> UInt32(bit)) & 1 == 1
                remainder = isOdd ? remainder >> 1 ^ 0x82f6_3b78 : remainder >> 1
            }
        }
        return (0..<4).map { UInt8(~remainder >> ($0 * 8) & 0xff) }
    }

    private struct Header {
        var isIPv4: Bool
        var transport: Int
        var end: Int
        var protocolNumber: UInt8
        var pseudo: [UInt8]

        init?(_ bytes: [UInt8]) {
            guard let first = bytes.first, bytes.count >= (first >> 4 == 4 ? 20 : 40) else {
                return nil
            }
            isIPv4 = first >> 4 == 4
            if isIPv4 {
                transport = Int(first & 15) * 4
                end = Int(bytes[2]) * 256 + Int(bytes[3])
                protocolNumber = bytes[9]
                guard transport <= bytes.count else { return nil }
            } else {
                transport = 40
                end = 40 + Int(bytes[4]) * 256 + Int(bytes[5])
                protocolNumber = bytes[6]
            }
            let addresses = isIPv4 ? bytes[12..<20] : bytes[8..<40]
            let length = end - transport
            pseudo = Array(addresses) + [0, protocolNumber]
            pseudo += [UInt8(length >> 8 & 0xff), UInt8(length & 0xff)]
        }

        /// Whether the message is an ICMP error.
        func quotes(_ segment: ArraySlice<UInt8>) -> Bool {
            guard let type = segment.first, segment.count > 28 else { return false }
            if isIPv4 { return protocolNumber == 1 && [3, 4, 5, 11, 12].contains(type) }
            return protocolNumber == 58 && type < 128
        }
    }
}

extension ConnectionTable {
    /// An unconfirmed connection for a flow, as its first packet makes it.
    mutating func make(_ flow: String, _ protocolNumber: UInt8, at now: Moment) -> Slot {
        let tuple = Make.Flow(flow).tuple(protocolNumber)
        guard let reply = tuple.inverted,
            let slot = create(
                tuple, reply: reply, hash: hash(tuple, zone: 0, .initial), .none, .initial,
                at: now)
        else { preconditionFailure("no connection for '\(flow)'") }
        return slot
    }
}
