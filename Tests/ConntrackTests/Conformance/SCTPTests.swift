import Testing
import Wire

@testable import Conntrack

/// SCTP associations: spec protocols.md §7 and §14.
///
/// What §7 leaves open was observed on 6.18.
@Suite("SCTP")
struct SCTPTests {
    // MARK: A life

    @Test("protocols.md case 16: four-way setup and shutdown")
    func life() {
        var x = Exchange()
        x.sctp(.o, tag: 0, .initiation(0x111), "NEW CLOSED/10 U tags 0,111 counted")
        x.sctp(
            .r, tag: 0x111, .initiationAck(0x222),
            "ESTABLISHED-reply COOKIE_WAIT/3 tags 222,111 counted")
        x.sctp(.o, tag: 0x222, .cookieEcho, "ESTABLISHED COOKIE_ECHOED/3 counted")
        x.sctp(.r, tag: 0x111, .cookieAck, "ESTABLISHED-reply ESTABLISHED/210 A counted")
        x.sctp(.o, tag: 0x222, .data, "ESTABLISHED ESTABLISHED/210 A counted")
        x.sctp(.r, tag: 0x111, .sack, "ESTABLISHED-reply ESTABLISHED/210 A counted")
        x.sctp(.o, tag: 0x222, .shutdown, "ESTABLISHED SHUTDOWN_SENT/3 A counted")
        x.sctp(.r, tag: 0x111, .shutdownAck, "ESTABLISHED-reply SHUTDOWN_ACK_SENT/3 A counted")
        x.sctp(.o, tag: 0x222, .shutdownComplete, "ESTABLISHED CLOSED/10 A tags 222,111 counted")
        x.expectEvents([
            "NEW{CLOSED}", "UPDATE{COOKIE_WAIT, SEEN_REPLY}", "UPDATE{COOKIE_ECHOED}",
            "UPDATE{ESTABLISHED, ASSURED}", "UPDATE{SHUTDOWN_SENT}", "UPDATE{SHUTDOWN_ACK_SENT}",
            "UPDATE{CLOSED}",
        ])
    }

    @Test("protocols.md case 16: over IPv6")
    func lifeOverIPv6() {
        var x = Exchange()
        x.family = .ipv6
        x.sctp(.o, tag: 0, .initiation(1), "NEW CLOSED/10 U")
        x.sctp(.r, tag: 1, .initiationAck(2), "ESTABLISHED-reply COOKIE_WAIT/3")
        x.sctp(.o, tag: 2, .cookieEcho, "ESTABLISHED COOKIE_ECHOED/3")
        x.sctp(.r, tag: 1, .cookieAck, "ESTABLISHED-reply ESTABLISHED/210 A")
    }

    @Test("protocols.md case 17: DATA with another tag than the expected one")
    func wrongTag() {
        var x = Exchange()
        x.sctp(.o, tag: 0, .initiation(0x111))
        x.sctp(.r, tag: 0x111, .initiationAck(0x222))
        x.sctp(.o, tag: 0x333, .data, "INVALID COOKIE_WAIT/3 tags 222,111 ignored invalid+1")
        x.expectRemark("verification tag check failed 33030000 vs 22020000 for dir 0")
        x.sctp(.r, tag: 0x222, .data, "INVALID")
        x.expectRemark("verification tag check failed 22020000 vs 11010000 for dir 1")
    }

    @Test("protocols.md §7: a HEARTBEAT opens a flow too; its answer establishes it")
    func heartbeats() {
        var x = Exchange()
        x.sctp(.o, tag: 5, .heartbeat, "NEW HEARTBEAT_SENT/30 U tags 5,0 counted")
        x.sctp(.r, tag: 6, .heartbeatAck, "ESTABLISHED-reply ESTABLISHED/210 A tags 5,6 counted")
        x.expectEvents(["NEW{HEARTBEAT_SENT}", "UPDATE{ESTABLISHED, SEEN_REPLY, ASSURED}"])
    }

    @Test("protocols.md §12: every state has its setting")
    func settings() {
        let names = [
            "closed", "cookie_wait", "cookie_echoed", "established", "shutdown_sent",
            "shutdown_recd", "shutdown_ack_sent", "heartbeat_sent",
        ]
        for (index, state) in SCTPState.allCases.dropFirst().enumerated() {
            let sysctl = Sysctl()
            var x = Exchange.association(in: state)
            x.expect(
                "\(state)", x.last.state.split(separator: " ")[0],
                "\(StateName.sctp(state.rawValue))/\(sysctl.sctpTimeouts[index])")
            x = Exchange.association(
                in: state, ["nf_conntrack_sctp_timeout_\(names[index])": 1000])
            x.expect(
                "\(state)", x.last.state.split(separator: " ")[0],
                "\(StateName.sctp(state.rawValue))/1000")
        }
    }

    @Test("gc.md §3: of assured associations only those shutting down may go early")
    func mayGoEarly() {
        for state in SCTPState.allCases {
            var connection = ConnectionState()
            connection.sctp = SCTPRecord(state: state)
            let isEnding =
                state == .shutdownSent || state == .shutdownReceived || state == .shutdownAckSent
            #expect(Trackers.mayDropAssured(IPProtocol.sctp, connection) == isEnding)
        }
    }

    @Test("what is remembered fits where TCP's memory lies")
    func overlay() {
        var connection = ConnectionState()
        #expect(connection.sctp == SCTPRecord())
        var record = SCTPRecord(tagOriginal: 0xdead_beef, tagReply: 7, state: .heartbeatSent)
        record.history = [.initiatedByOriginal, .initiatedByReply]
        record.strayHeartbeat = .reply
        connection.sctp = record
        #expect(connection.sctp == record)
        #expect(MemoryLayout<ConnectionState>.size == 64)
    }

    // MARK: What a flow begins with

    struct Opening: CustomTestStringConvertible {
        var name: String
        var tag: UInt32
        var chunks: [Chunk]
        var expected: String
        var remark: String?

        init(
            _ name: String, _ tag: UInt32, _ chunks: [Chunk], _ expected: String,
            remark: String? = nil
        ) {
            self.name = name
            self.tag = tag
            self.chunks = chunks
            self.expected = expected
            self.remark = remark
        }

        var testDescription: String { "\(name), tag \(tag) -> \(expected)" }
    }

    static let openings: [Opening] = [
        Opening("INIT", 0, [.initiation(7)], "NEW CLOSED/10 U tags 0,7"),
        Opening("INIT offering tag 0", 0, [.initiation(0)], "NEW CLOSED/10 U tags 0,0"),
        Opening("INIT", 5, [.initiation(7)], "INVALID gone invalid+1"),
        Opening("ABORT", 5, [.abort], "INVALID gone"),
        Opening("DATA", 5, [.data], "INVALID gone"),
        Opening("SHUTDOWN COMPLETE", 0, [.shutdownComplete], "INVALID gone"),
        Opening("COOKIE ACK", 0, [.cookieAck], "INVALID gone"),
        Opening("COOKIE ECHO", 0, [.cookieEcho], "NEW CLOSED/10 U tags 0,0"),
        Opening("COOKIE ECHO", 7, [.cookieEcho], "INVALID gone"),
        Opening("HEARTBEAT + DATA", 7, [.heartbeat, .data], "INVALID gone"),
        Opening("HEARTBEAT + SACK", 7, [.heartbeat, .sack], "INVALID gone"),
        Opening("HEARTBEAT + ABORT", 7, [.heartbeat, .abort], "INVALID gone"),
        Opening(
            "HEARTBEAT + SHUTDOWN", 7, [.heartbeat, .shutdown], "NEW CLOSED/10 U tags 7,0"),
        Opening("HEARTBEAT ACK", 7, [.heartbeatAck], "NEW CLOSED/10 U tags 7,0"),
        Opening("SHUTDOWN ACK", 7, [.shutdownAck], "NEW SHUTDOWN_ACK_SENT/3 U tags 0,7"),
        Opening(
            "SHUTDOWN ACK + ERROR", 7, [.shutdownAck, .error],
            "NEW SHUTDOWN_ACK_SENT/3 U tags 0,7"),
        Opening("ERROR + SHUTDOWN ACK", 7, [.error, .shutdownAck], "NEW CLOSED/10 U tags 0,7"),
        Opening(
            "HEARTBEAT + HEARTBEAT ACK + SHUTDOWN ACK", 7,
            [.heartbeat, .heartbeatAck, .shutdownAck], "NEW SHUTDOWN_ACK_SENT/3 U tags 7,7"),
        Opening("ERROR", 0, [.error], "NEW CLOSED/10 U tags 0,0"),
        Opening(
            "ERROR", 7, [.error], "INVALID gone",
            remark: "verification tag check failed 7000000 vs 0 for dir 0"),
        Opening(
            "INIT ACK", 7, [.initiationAck(5)], "INVALID gone",
            remark: "verification tag check failed 7000000 vs 0 for dir 0"),
        Opening("no chunk", 0, [], "INVALID gone"),
    ]

    @Test("protocols.md §7 step 3: what a flow may begin with", arguments: openings)
    func opens(opening: Opening) {
        var x = Exchange()
        x.sctp(.o, tag: opening.tag, opening.chunks, Expected(opening.expected))
        x.expectRemark(opening.remark)
    }

    // MARK: Checksum and length

    @Test("protocols.md §7 step 1: a wrong CRC is INVALID, unless checksums are not verified")
    func checksum() {
        var wrong = PacketBuilder.Overrides()
        wrong.crc = 0x1234_5678
        var x = Exchange()
        x.sctp(.o, tag: 0, [.initiation(7)], "INVALID gone invalid+1", overrides: wrong)
        x.expectRemark("nf_ct_sctp: bad CRC")
        x = Exchange(["nf_conntrack_checksum": 0])
        x.sctp(.o, tag: 0, [.initiation(7)], "NEW CLOSED/10 U", overrides: wrong)
    }

    @Test("protocols.md §7 step 1: the CRC ends where the packet does")
    func padding() {
        var x = Exchange()
        let packet = x.sctpPacket(from: .o, tag: 0, [.initiation(7)])
        x.send(packet + [1, 2, 3], from: .o, called: "INIT, link padding", "NEW CLOSED/10 U")
    }

    @Test("protocols.md §7 step 1: fewer than 12 bytes, fewer than 4", arguments: 0..<13)
    func short(byteCount: Int) {
        var x = Exchange()
        x.ip(.o, IPProtocol.sctp, [UInt8](repeating: 0x78, count: byteCount), "INVALID gone")
        let remark =
            switch byteCount {
            case ..<4: String?.none
            case ..<12: "nf_ct_sctp: short packet"
            default: "nf_ct_sctp: bad CRC"
            }
        x.expectRemark(remark)
    }
}
