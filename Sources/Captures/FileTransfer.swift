import Wire

// FTP through masquerade: the control connection announces others, and what it says is translated.

extension Trace {
    /// One listing fetched in active mode, one file in passive mode.
    static let ftpNAT: Trace = {
        var trace = Trace(
            "ftp-nat",
            "FTP through masquerade, active and passive: the gateway writes its own address into "
                + "PORT, shifts the numbers of what follows, and calls the data connections RELATED."
        )
        var control = Conversation(
            forward: (Host.client, Host.server), ports: (40_021, 21),
            back: (Host.server, Host.gateway), backPorts: (21, 40_021))
        func say(_ line: String, at time: UInt64) {
            trace.add(at: time, control.fromClient([.psh, .ack], payload: Array(line.utf8)))
        }
        func answer(_ line: String, at time: UInt64) {
            trace.add(at: time, control.fromServer([.psh, .ack], payload: Array(line.utf8)))
        }
        trace.add(at: 0, control.fromClient(.syn))
        trace.add(at: 18, control.fromServer([.syn, .ack]))
        trace.add(at: 19, control.fromClient(.ack))
        answer("220 files.example.net\r\n", at: 40)
        say("USER anonymous\r\n", at: 60)
        answer("230 come in\r\n", at: 80)

        // Active: the server connects to what it takes for the client.
        let told = "10,0,0,2,195,80"
        let heard = "203,0,113,1,195,80"
        say("PORT \(told)\r\n", at: 1000)
        control.clientGrowth = UInt32(heard.utf8.count - told.utf8.count)
        answer("200 PORT\r\n", at: 1020)
        say("LIST\r\n", at: 1040)
        answer("150 here it comes\r\n", at: 1060)
        trace.addData(
            at: 1070,
            Conversation(
                forward: (Host.server, Host.gateway), ports: (20, 50_000),
                back: (Host.client, Host.server), backPorts: (50_000, 20)),
            "README\r\n", fromOpener: true)
        answer("226 done\r\n", at: 1200)

        // Passive: the client connects to what the server names.
        say("PASV\r\n", at: 2000)
        answer("227 Entering Passive Mode (198,51,100,7,78,32)\r\n", at: 2020)
        say("RETR README\r\n", at: 2040)
        trace.addData(
            at: 2050,
            Conversation(
                forward: (Host.client, Host.server), ports: (40_022, 20_000),
                back: (Host.server, Host.gateway), backPorts: (20_000, 40_022)),
            "Read me first.\r\n", fromOpener: false)
        answer("226 done\r\n", at: 2200)

        // The same port again, unannounced, is nobody's business inside.
        let stranger = PacketBuilder(.ipv4, from: Host.server, to: Host.gateway)
        trace.add(
            at: 2500,
            stranger.tcp(from: 20, to: 50_000, flags: .syn, sequence: 9, acknowledgment: 0))

        say("QUIT\r\n", at: 3000)
        answer("221 good bye\r\n", at: 3020)
        trace.add(at: 3021, control.fromServer([.fin, .ack]))
        trace.add(at: 3040, control.fromClient([.fin, .ack]))
        trace.add(at: 3058, control.fromServer(.ack))
        return trace
    }()

    /// A data connection from its first packet to its last, 10 ms between packets.
    private mutating func addData(
        at start: UInt64, _ conversation: Conversation, _ text: String, fromOpener: Bool
    ) {
        var data = conversation
        let bytes = Array(text.utf8)
        add(at: start, data.fromClient(.syn))
        add(at: start + 10, data.fromServer([.syn, .ack]))
        add(at: start + 20, data.fromClient(.ack))
        if fromOpener {
            add(at: start + 30, data.fromClient([.psh, .ack], payload: bytes))
            add(at: start + 40, data.fromClient([.fin, .ack]))
            add(at: start + 50, data.fromServer([.fin, .ack]))
            add(at: start + 60, data.fromClient(.ack))
        } else {
            add(at: start + 30, data.fromServer([.psh, .ack], payload: bytes))
            add(at: start + 40, data.fromServer([.fin, .ack]))
            add(at: start + 50, data.fromClient([.fin, .ack]))
            add(at: start + 60, data.fromServer(.ack))
        }
    }
}
