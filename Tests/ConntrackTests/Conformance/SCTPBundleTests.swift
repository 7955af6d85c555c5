import Testing
import Wire

@testable import Conntrack

/// Several chunks in one packet: what may stand together, what is kept of a packet that is refused
/// half-way, and that the summary of a packet is as good as the packet.
///
/// Observed on 6.18 where spec protocols.md §7 leaves it open.
@Suite("SCTP bundles")
struct SCTPBundleTests {
    // MARK: Which chunks may stand together (step 2)

    struct Row: CustomTestStringConvertible {
        var name: String
        var tag: UInt32 = 0
        var chunks: [Chunk]
        /// `nil`: taken.
        var remark: String?

        var testDescription: String { "\(name): \(remark ?? "taken")" }
    }

    static let rows: [Row] = [
        Row(
            name: "HEARTBEAT + INIT", chunks: [.heartbeat, .initiation(3)],
            remark: "chunk num 1, type 1, len 5120 flag 1"),
        Row(
            name: "two DATA + INIT", chunks: [Self.data, Self.data, .initiation(3)],
            remark: "chunk num 2, type 1, len 5120 flag 1"),
        Row(
            name: "INIT + DATA", chunks: [.initiation(3), Self.data],
            remark: "chunk num 1, type 0, len 2048 flag 1"),
        Row(
            name: "INIT + SACK with flags", chunks: [.initiation(3), Chunk(type: 3, flags: 9)],
            remark: "chunk num 1, type 3, len 1024 flag 1"),
        Row(
            name: "two INIT", chunks: [.initiation(3), .initiation(3)],
            remark: "chunk num 1, type 1, len 5120 flag 1"),
        Row(
            name: "INIT ACK + SACK", chunks: [.initiationAck(3), Chunk(type: 3)],
            remark: "chunk num 1, type 3, len 1024 flag 1"),
        Row(
            name: "SHUTDOWN COMPLETE + SACK", chunks: [.shutdownComplete, Chunk(type: 3)],
            remark: "chunk num 1, type 3, len 1024 flag 1"),
        Row(
            name: "SACK + SHUTDOWN COMPLETE", chunks: [Chunk(type: 3), .shutdownComplete],
            remark: "chunk num 1, type 14, len 1024 flag 1"),
        Row(
            name: "DATA + COOKIE ECHO", chunks: [Self.data, .cookieEcho],
            remark: "chunk num 1, type 10, len 2048 flag 0"),
        Row(
            name: "DATA + COOKIE ACK", chunks: [Self.data, .cookieAck],
            remark: "chunk num 1, type 11, len 1024 flag 0"),
        Row(
            name: "COOKIE ECHO + COOKIE ACK", chunks: [.cookieEcho, .cookieAck],
            remark: "chunk num 1, type 11, len 1024 flag 0"),
        Row(
            name: "COOKIE ECHO + INIT", chunks: [.cookieEcho, .initiation(2)],
            remark: "chunk num 1, type 1, len 5120 flag 1"),
        Row(name: "COOKIE ECHO + DATA", tag: 0xb, chunks: [.cookieEcho, Self.data]),
        Row(
            name: "a chunk of length zero", chunks: [Chunk(type: 0, lengthField: 0)],
            remark: "chunk num 0, type 0, len 0 flag 0"),
        Row(
            name: "INIT of length zero", chunks: [Chunk(type: 1, lengthField: 0)],
            remark: "chunk num 0, type 1, len 0 flag 1"),
        Row(
            name: "DATA + SACK of length zero",
            chunks: [Self.data, Chunk(type: 3, flags: 5, lengthField: 0)],
            remark: "chunk num 1, type 3, len 0 flag 0"),
        Row(
            name: "INIT claiming four bytes, so that its body looks like chunks",
            chunks: [
                Chunk(
                    type: 1, value: [0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 7],
                    lengthField: 4)
            ], remark: "chunk num 1, type 0, len 1792 flag 1"),
        Row(
            name: "300 SACK + INIT",
            chunks: [Chunk](repeating: Chunk(type: 3), count: 300) + [.initiation(3)],
            remark: "chunk num 300, type 1, len 5120 flag 1"),
        Row(
            name: "HEARTBEAT of length one", tag: 0xb,
            chunks: [Chunk(type: 4, lengthField: 1), .heartbeatAck]),
        Row(
            name: "a chunk that claims more than there is", tag: 0xb,
            chunks: [Self.data, Chunk(type: 4, lengthField: 1000)]),
    ]

    private static let data = Chunk(type: 0, value: [1, 2, 3, 4])

    @Test("protocols.md §7 step 2: which chunks may stand together", arguments: rows)
    func standsTogether(row: Row) {
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: row.tag, row.chunks, row.remark == nil ? "ESTABLISHED counted" : "INVALID")
        x.expectRemark(row.remark.map { "do_basic_checks failed. \($0)" })
    }

    @Test("observed: a chunk header cut short ends the packet in silence", arguments: 1...3)
    func cutHeader(byteCount: Int) {
        let x = Exchange()
        for (chunks, expected): ([Chunk], Expected) in [
            ([.heartbeat], "NEW HEARTBEAT_SENT/30 U"), ([], "INVALID gone"),
        ] {
            // The tail of another packet: it would be an INIT in the wrong place.
            var segment = Array(x.sctpPacket(from: .o, tag: 5, chunks).dropFirst(20))
            segment += [1, 0, 0].prefix(byteCount)
            segment.setBigEndian(UInt32(0), at: 8)
            segment.setBigEndian(CRC32C.fieldValue(of: segment.span), at: 8)
            var fresh = Exchange()
            fresh.ip(.o, IPProtocol.sctp, segment, expected)
            fresh.expectRemark(nil)
        }
    }

    // MARK: One after the other

    @Test("protocols.md §7: chunks are applied in their order")
    func order() {
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: 0xb, [.shutdown, .shutdownAck], "SHUTDOWN_ACK_SENT/3 A counted")
        x = Exchange.association(in: .established)
        x.sctp(.o, tag: 0xb, [.shutdownAck, .shutdown], "SHUTDOWN_SENT/3 A counted")
        x = Exchange.association(in: .heartbeatSent)
        x.sctp(.r, tag: 6, [.heartbeatAck, .shutdown], "SHUTDOWN_RECD/3 A tags b,6 counted")
        x = Exchange.association(in: .heartbeatSent)
        x.sctp(.r, tag: 6, [.heartbeat, .shutdown], "INVALID HEARTBEAT_SENT/30 U tags b,6 ignored")
        x.expectRemark("Invalid, old_state 8, dir 1, type 7")
    }

    @Test("observed: ESTABLISHED in passing makes ASSURED")
    func passesThroughEstablished() {
        var x = Exchange.association(in: .cookieEchoed)
        x.sctp(.r, tag: 0xa, [.cookieAck, .abort], "CLOSED/10 A counted")
        x = Exchange.association(in: .cookieEchoed)
        x.sctp(.r, tag: 0xa, [.cookieAck, .shutdown], "SHUTDOWN_RECD/3 A counted")
    }

    @Test("observed: what stands before a refused chunk has happened, and is told later")
    func halfRefused() {
        var x = Exchange.association(in: .established)
        x.forgetEvents()
        x.sctp(.o, tag: 0xb, [.shutdown, .reflectedAbort], "INVALID SHUTDOWN_SENT/210 A ignored")
        x.expectRemark(nil)
        x.expectEvents([])
        x.sctp(.o, tag: 0xb, .data, "SHUTDOWN_SENT/3 A counted")
        x.expectEvents(["UPDATE{SHUTDOWN_SENT, SEEN_REPLY, ASSURED}"])

        x = Exchange.association(in: .cookieEchoed)
        x.sctp(.r, tag: 9, [.cookieAck, .abort], "INVALID ESTABLISHED/3 A ignored")
    }

    @Test("observed: a stray HEARTBEAT leaves the other chunks their effect, but no new timeout")
    func strayBesideOthers() {
        let bundles: [[Chunk]] = [[.heartbeat, .shutdown], [.shutdown, .heartbeat]]
        for chunks in bundles {
            var x = Exchange.association(in: .established)
            x.sctp(.o, tag: 7, chunks, "ESTABLISHED SHUTDOWN_SENT/210 A tags b,a ignored")
            x.sctp(.r, tag: 9, .heartbeatAck, "SHUTDOWN_SENT/3 A tags 0,9 counted")
        }
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: 0xa, [.heartbeat, .reflectedAbort], "CLOSED/210 A ignored")
        x = Exchange.association(in: .established)
        x.sctp(.o, tag: 7, [.heartbeat, .abort], "INVALID ESTABLISHED/210 A ignored")
        x = Exchange.association(in: .cookieEchoed)
        x.sctp(.r, tag: 9, [.cookieAck, .heartbeat], "ESTABLISHED/3 A tags b,a ignored")
    }

    @Test("observed: a packet's second stray HEARTBEAT makes it INVALID")
    func secondStray() {
        let bundles: [[Chunk]] = [
            [.heartbeat, .heartbeat], [.heartbeat, .sack, .heartbeat],
            [.heartbeat, .heartbeat, .heartbeat], [.heartbeat, .heartbeatAck],
        ]
        for chunks in bundles {
            var x = Exchange.association(in: .established)
            x.sctp(.o, tag: 7, chunks, "INVALID ESTABLISHED/210 A ignored")
        }
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: 0xb, [.heartbeat, .heartbeat], "ESTABLISHED/210 A counted")
        x.sctp(.r, tag: 4, .heartbeat, "ignored")
        x.sctp(.o, tag: 7, [.heartbeatAck, .heartbeat], "ESTABLISHED/210 A tags 7,0 counted")
    }
}
