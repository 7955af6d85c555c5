import Wire

// Captures about states and limits.

extension Trace {
    /// Two flows: one that becomes a stream, one that nobody answers.
    static let udpStream: Trace = {
        var trace = Trace(
            "udp-stream",
            "UDP: a flow answered and still busy after two seconds becomes a stream (120 s, "
                + "ASSURED); one without an answer expires after 30 s.")
        let client = PacketBuilder(.ipv4, from: Host.client, to: Host.server)
        let server = PacketBuilder(.ipv4, from: Host.server, to: Host.gateway)
        func call(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 160) }
        trace.add(at: 0, client.udp(from: 16_384, to: 5004, payload: call(0)))
        trace.add(at: 0, client.udp(from: 16_386, to: 9, payload: call(0)))
        trace.add(at: 20, server.udp(from: 5004, to: 16_384, payload: call(1)))
        trace.add(at: 1990, client.udp(from: 16_384, to: 5004, payload: call(2)))
        trace.add(at: 2010, client.udp(from: 16_384, to: 5004, payload: call(3)))
        trace.add(at: 2030, server.udp(from: 5004, to: 16_384, payload: call(4)))
        // Long after the unanswered flow's time, and within the stream's.
        trace.add(at: 95_000, client.udp(from: 16_384, to: 5004, payload: call(5)))
        trace.add(at: 95_000, client.udp(from: 16_386, to: 9, payload: call(6)))
        return trace
    }()

    /// The client's packets take another way: the gateway sees only what the server sends.
    static let asymmetric: Trace = {
        var trace = Trace(
            "asymmetric",
            "An asymmetric path: the gateway sees answers to a connection it never saw begin, "
                + "and calls them INVALID.")
        var tcp = Conversation(
            forward: (Host.client, Host.server), ports: (40_002, 9000),
            back: (Host.server, Host.client), backPorts: (9000, 40_002))
        _ = tcp.fromClient(.syn)
        trace.add(at: 0, tcp.fromServer([.syn, .ack]))
        _ = tcp.fromClient(.ack)
        _ = tcp.fromClient([.psh, .ack], payload: [UInt8](repeating: 0x16, count: 300))
        trace.add(at: 20, tcp.fromServer(.ack))
        let data = tcp.fromServer([.psh, .ack], payload: [UInt8](repeating: 0x17, count: 1200))
        trace.add(at: 25, data)
        // The gateway drops it, so the server sends it again.
        trace.add(at: 225, data)
        trace.add(at: 60_000, tcp.fromServer([.rst, .ack]))
        // And one connection the gateway sees whole, for comparison.
        var whole = Conversation(
            forward: (Host.client, Host.server), ports: (40_003, 9000),
            back: (Host.server, Host.client), backPorts: (9000, 40_003))
        trace.add(at: 61_000, whole.fromClient(.syn))
        trace.add(at: 61_020, whole.fromServer([.syn, .ack]))
        trace.add(at: 61_021, whole.fromClient(.ack))
        return trace
    }()

    /// A table for 64 connections, most of them assured, and then a flood of SYNs.
    static let tableFull: Trace = {
        var trace = Trace(
            "table-full",
            "A table of 64 fills up: unassured connections go by early drop, then packets are "
                + "refused and the kernel log says so, ten lines in five seconds.")
        let client = PacketBuilder(.ipv4, from: Host.client, to: Host.server)
        let server = PacketBuilder(.ipv4, from: Host.server, to: Host.gateway)
        let ports = (0..<48).map { UInt16(20_000 + $0) }
        for (index, port) in ports.enumerated() {
            let at = UInt64(index)
            trace.add(at: at, client.udp(from: port, to: 5004, payload: [1]))
            trace.add(at: at, server.udp(from: 5004, to: port, payload: [2]))
        }
        for (index, port) in ports.enumerated() {
            trace.add(at: 2100 + UInt64(index), client.udp(from: port, to: 5004, payload: [3]))
        }
        for burst in 0..<2 {
            for number in 0..<60 {
                let spoofed = PacketBuilder(
                    .ipv4,
                    from: Address(ipv4: 0x0a00_0100 + UInt32(burst * 60 + number)),
                    to: Host.server)
                trace.add(
                    at: 3000 + UInt64(burst) * 6000 + UInt64(number),
                    spoofed.tcp(
                        from: 50_000, to: 80, flags: .syn,
                        sequence: UInt32(1_000_000 * (burst * 60 + number + 1)),
                        options: [.maximumSegmentSize(1460)]))
            }
        }
        return trace
    }()
}
