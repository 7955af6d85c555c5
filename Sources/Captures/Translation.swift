import Wire

// Captures about address translation.

extension Trace {
    /// A name is looked up, a page is fetched, and the connection is closed, all behind one public
    /// address.
    static let tcpMasquerade: Trace = {
        var trace = Trace(
            "tcp-masquerade",
            "A TCP life through masquerade: handshake, request, answer, both FINs, TIME_WAIT.")
        let query = PacketBuilder(.ipv4, from: Host.client, to: Host.server)
        let answer = PacketBuilder(.ipv4, from: Host.server, to: Host.gateway)
        trace.add(at: 0, query.udp(from: 33_000, to: 53, payload: DNS.query))
        trace.add(at: 12, answer.udp(from: 53, to: 33_000, payload: DNS.answer))

        var tcp = Conversation(
            forward: (Host.client, Host.server), ports: (40_001, 80),
            back: (Host.server, Host.gateway), backPorts: (80, 40_001))
        let request = Array("GET / HTTP/1.1\r\nHost: example.net\r\n\r\n".utf8)
        let page = Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".utf8)
        trace.add(at: 20, tcp.fromClient(.syn))
        trace.add(at: 38, tcp.fromServer([.syn, .ack]))
        trace.add(at: 39, tcp.fromClient(.ack))
        trace.add(at: 40, tcp.fromClient([.psh, .ack], payload: request))
        trace.add(at: 58, tcp.fromServer(.ack))
        trace.add(at: 61, tcp.fromServer([.psh, .ack], payload: page))
        trace.add(at: 62, tcp.fromClient(.ack))
        trace.add(at: 5062, tcp.fromClient([.fin, .ack]))
        trace.add(at: 5080, tcp.fromServer(.ack))
        trace.add(at: 5081, tcp.fromServer([.fin, .ack]))
        trace.add(at: 5082, tcp.fromClient(.ack))
        return trace
    }()

    /// A web server and a closed UDP port, both behind the public address.
    static let dnatReverse: Trace = {
        var trace = Trace(
            "dnat-reverse",
            "DNAT to a server inside: answers, and an ICMP error with what it quotes, are "
                + "translated back.")
        var tcp = Conversation(
            forward: (Host.outsideClient, Host.gateway), ports: (51_000, 8080),
            back: (Host.insideServer, Host.outsideClient), backPorts: (80, 51_000))
        trace.add(at: 0, tcp.fromClient(.syn))
        trace.add(at: 1, tcp.fromServer([.syn, .ack]))
        trace.add(at: 30, tcp.fromClient(.ack))
        trace.add(at: 31, tcp.fromClient([.psh, .ack], payload: Array("GET /\r\n".utf8)))
        trace.add(at: 32, tcp.fromServer([.psh, .ack], payload: Array("hello\r\n".utf8)))
        trace.add(at: 60, tcp.fromClient([.rst, .ack]))

        // Nothing listens on the inside port, and the server says so about the packet it saw.
        let query = PacketBuilder(.ipv4, from: Host.outsideClient, to: Host.gateway)
        trace.add(at: 100, query.udp(from: 33_001, to: 5353, payload: DNS.query))
        var translated = PacketBuilder(.ipv4, from: Host.outsideClient, to: Host.insideServer)
        translated.timeToLive = 63
        let error = PacketBuilder(.ipv4, from: Host.insideServer, to: Host.outsideClient)
        trace.add(
            at: 101,
            error.icmpError(
                type: 3, code: 3,
                about: translated.udp(from: 33_001, to: 53, payload: DNS.query)))
        return trace
    }()
}

/// Two small DNS messages: what is the address of example.net, and one answer.
enum DNS {
    private static let question: [UInt8] =
        [7] + Array("example".utf8) + [3] + Array("net".utf8) + [0, 0, 1, 0, 1]

    static let query: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + question

    static let answer: [UInt8] =
        [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0] + question
        + [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7]
}
