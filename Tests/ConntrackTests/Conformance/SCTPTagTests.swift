import Testing
import Wire

@testable import Conntrack

/// Whose verification tag a packet carries, and what HEARTBEAT, INIT and INIT ACK make of it: spec
/// protocols.md §7 steps 4 to 6.
///
/// What they leave open was observed on 6.18.
@Suite("SCTP tags")
struct SCTPTagTests {
    // MARK: Chunk by chunk

    /// Which tags an established association takes from O: its own (0xb), the peer's (0xa), 0.
    struct Row: CustomTestStringConvertible {
        var name: String
        var chunk: Chunk
        var taken: [UInt32]
        /// Whether a refusal is remarked on.
        var isRemarked = false

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(name: "INIT", chunk: .initiation(0xa), taken: [0]),
        Row(name: "INIT ACK", chunk: .initiationAck(0xa), taken: [0xb], isRemarked: true),
        Row(name: "DATA", chunk: .data, taken: [0xb], isRemarked: true),
        Row(name: "SACK", chunk: .sack, taken: [0xb], isRemarked: true),
        Row(name: "a chunk of type 200", chunk: Chunk(type: 200), taken: [0xb], isRemarked: true),
        Row(name: "SHUTDOWN", chunk: .shutdown, taken: [0xb], isRemarked: true),
        Row(name: "ERROR", chunk: .error, taken: [0xb], isRemarked: true),
        Row(name: "COOKIE ACK", chunk: .cookieAck, taken: [0xb], isRemarked: true),
        Row(name: "COOKIE ECHO", chunk: .cookieEcho, taken: [0xb]),
        Row(name: "ABORT", chunk: .abort, taken: [0xb]),
        Row(name: "ABORT, T", chunk: .reflectedAbort, taken: [0xa]),
        Row(name: "SHUTDOWN COMPLETE", chunk: .shutdownComplete, taken: [0xb]),
        Row(name: "SHUTDOWN COMPLETE, T", chunk: .reflectedShutdownComplete, taken: [0xa]),
        Row(name: "SHUTDOWN ACK", chunk: .shutdownAck, taken: [0xb, 0xa, 0]),
        Row(name: "HEARTBEAT ACK", chunk: .heartbeatAck, taken: [0xb]),
    ]

    @Test("protocols.md §7 steps 4 and 5: which tag each chunk needs", arguments: rows)
    func needs(row: Row) {
        for tag: UInt32 in [0xb, 0xa, 0] {
            var x = Exchange.association(in: .established)
            let isTaken = row.taken.contains(tag)
            x.sctp(.o, tag: tag, row.chunk, isTaken ? "ESTABLISHED counted" : "INVALID ignored")
            let text =
                "verification tag check failed "
                + "\(String(tag.byteSwapped, radix: 16)) vs b000000 for dir 0"
            x.expectRemark(!isTaken && row.isRemarked ? text : nil)
        }
    }

    @Test("protocols.md §7 step 5: only the T flag of ABORT counts, not the bits beside it")
    func tFlag() {
        for flags: UInt8 in [0x00, 0x02, 0x80, 0xfe] {
            var x = Exchange.association(in: .established)
            x.sctp(.o, tag: 0xb, Chunk(type: 6, flags: flags), "ESTABLISHED CLOSED/10 A")
        }
        for flags: UInt8 in [0x01, 0x03, 0xff] {
            var x = Exchange.association(in: .established)
            x.sctp(.o, tag: 0xa, Chunk(type: 6, flags: flags), "ESTABLISHED CLOSED/10 A")
        }
    }

    // MARK: Heartbeats

    @Test("protocols.md §7 step 5: a HEARTBEAT teaches a tag that is not known")
    func learns() {
        var x = Exchange.association(in: .heartbeatSent)
        x.sctp(.r, tag: 6, .heartbeat, "ESTABLISHED-reply HEARTBEAT_SENT/30 tags b,6 counted")
        x.sctp(.r, tag: 6, .heartbeatAck, "ESTABLISHED-reply ESTABLISHED/210 A tags b,6")
    }

    @Test("protocols.md §7 step 5: a stray HEARTBEAT passes without prolonging anything")
    func stray() {
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: 7, .heartbeat, "ESTABLISHED ESTABLISHED/210 A tags b,a ignored")
        x.sctp(.o, tag: 8, .heartbeat, "ESTABLISHED ESTABLISHED/210 A tags b,a ignored")
        x.sctp(.o, tag: 7, [.heartbeat, .data], "INVALID ignored")
        x.sctp(.o, tag: 7, [.data, .heartbeat], "INVALID ignored")
    }

    @Test("protocols.md §7 step 5: the answer to a stray HEARTBEAT renews the tags")
    func answered() {
        for (asker, answerer) in [(Host.o, Host.r), (.r, .o)] {
            var x = Exchange.association(in: .established)
            x.sctp(asker, tag: 7, .heartbeat, "ignored")
            let tags = answerer == .r ? "tags 0,9" : "tags 9,0"
            x.sctp(answerer, tag: 9, .heartbeatAck, "ESTABLISHED/210 A \(tags) counted")
            x.sctp(answerer, tag: 8, .heartbeatAck, "INVALID ignored")
            x.sctp(asker, tag: 4, .heartbeatAck, "counted")  // It learns the other one.
            x.sctp(answerer, tag: 9, .data, "counted")
        }
    }

    /// What O does between a stray HEARTBEAT of O's and an answer from R with yet another tag.
    struct Between: CustomTestStringConvertible {
        var name: String
        var host: Host
        var tag: UInt32
        var chunks: [Chunk]
        /// Whether the answer is still taken.
        var isAwaited: Bool

        var testDescription: String { "\(name): \(isAwaited ? "awaited" : "no longer")" }
    }

    static let betweens: [Between] = [
        Between(name: "DATA", host: .o, tag: 0xb, chunks: [.data], isAwaited: true),
        Between(name: "INIT", host: .o, tag: 0, chunks: [.initiation(0xd)], isAwaited: true),
        Between(
            name: "O's HEARTBEAT with the right tag", host: .o, tag: 0xb, chunks: [.heartbeat],
            isAwaited: false),
        Between(
            name: "R's HEARTBEAT with the right tag", host: .r, tag: 0xa, chunks: [.heartbeat],
            isAwaited: false),
        Between(
            name: "R's HEARTBEAT ACK with the right tag", host: .r, tag: 0xa,
            chunks: [.heartbeatAck], isAwaited: false),
        Between(
            name: "the same beside DATA", host: .r, tag: 0xa, chunks: [.data, .heartbeatAck],
            isAwaited: false),
        Between(
            name: "R's stray HEARTBEAT: only the last one counts", host: .r, tag: 7,
            chunks: [.heartbeat], isAwaited: false),
        Between(
            name: "R's stray HEARTBEAT beside DATA", host: .r, tag: 7, chunks: [.data, .heartbeat],
            isAwaited: true),
        Between(
            name: "O's own HEARTBEAT ACK", host: .o, tag: 9, chunks: [.heartbeatAck],
            isAwaited: true),
        Between(
            name: "an answer beside DATA", host: .r, tag: 8, chunks: [.data, .heartbeatAck],
            isAwaited: true),
    ]

    @Test("observed: how long the answer to a stray HEARTBEAT is awaited", arguments: betweens)
    func awaits(between: Between) {
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: 7, .heartbeat, "ignored")
        x.sctp(between.host, tag: between.tag, between.chunks)
        x.sctp(.r, tag: 9, .heartbeatAck, between.isAwaited ? "tags 0,9 counted" : "INVALID")
    }

    @Test("observed: a tag that is learnt meanwhile leaves the answer awaited")
    func learnsMeanwhile() {
        for chunk in [Chunk.heartbeat, .heartbeatAck] {
            var x = Exchange.association(in: .heartbeatSent)
            x.sctp(.o, tag: 7, .heartbeat, "NEW HEARTBEAT_SENT/30 U tags b,0 ignored")
            x.sctp(.r, tag: 6, chunk, "tags b,6 counted")
            x.sctp(.r, tag: 9, .heartbeatAck, "ESTABLISHED/210 A tags 0,9 counted")
        }
    }

    // MARK: INIT and INIT ACK

    @Test("protocols.md §7 step 6: an INIT on a closed flow passes and does not prolong it")
    func repeatedInitiation() {
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: 0xb, .abort, "ESTABLISHED CLOSED/10 A counted")
        x.sctp(.o, tag: 0, .initiation(0xa), "ESTABLISHED CLOSED/10 A tags b,a ignored")
        x.sctp(.o, tag: 0, .initiation(0xd), "ESTABLISHED CLOSED/10 A tags b,d ignored")
        x.sctp(.r, tag: 0xd, .initiationAck(0xe), "COOKIE_WAIT/3 A tags e,d counted")
    }

    @Test("protocols.md §7 step 6: an INIT ACK renews the tag only after an INIT of the other side")
    func refusedAck() {
        var x = Exchange.association(in: .cookieWait)
        x.sctp(.r, tag: 0xa, .initiationAck(0xc), "COOKIE_WAIT/3 tags c,a counted")
        x.sctp(.o, tag: 0xc, .initiationAck(0xd), "INVALID tags c,a ignored")
        x.sctp(.o, tag: 0xc, .initiationAck(0xa), "COOKIE_WAIT/3 tags c,a counted")
    }

    @Test("protocols.md §7 step 6: where both sides sent an INIT, each INIT ACK repeats its tag")
    func collision() {
        var x = Exchange()
        x.sctp(.o, tag: 0, .initiation(0xa), "NEW CLOSED/10 U tags 0,a counted")
        x.sctp(.r, tag: 0, .initiation(0xb), "ESTABLISHED-reply CLOSED/10 tags b,a ignored")
        x.sctp(.r, tag: 0xa, .initiationAck(0xc), "INVALID CLOSED/10 tags b,a ignored")
        x.sctp(.o, tag: 0xb, .initiationAck(0xd), "INVALID CLOSED/10 tags b,a ignored")
        x.sctp(.r, tag: 0xa, .initiationAck(0xb), "COOKIE_WAIT/3 tags b,a counted")
        x.sctp(.o, tag: 0xb, .initiationAck(0xa), "COOKIE_WAIT/3 tags b,a counted")
        x.expectEvents(["NEW{CLOSED}", "UPDATE{SEEN_REPLY}", "UPDATE{COOKIE_WAIT}"])
    }

    @Test("protocols.md §7 step 5: COOKIE ACK ends the collision")
    func collisionEnds() {
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: 0, .initiation(0xc), "tags b,c counted")
        x.sctp(.r, tag: 0, .initiation(0xd), "tags d,c counted")
        x.sctp(.r, tag: 0xc, .initiationAck(0xe), "INVALID")
        x.sctp(.r, tag: 0xc, .cookieAck, "ESTABLISHED/210 A counted")
        x.sctp(.r, tag: 0xc, .initiationAck(0xe), "INVALID")  // Nobody has asked since.
        x.sctp(.o, tag: 0, .initiation(0xf), "tags d,f counted")
        x.sctp(.r, tag: 0xf, .initiationAck(0xe), "tags e,f counted")
    }

    @Test("observed: a tag named 0 in a collision is as good as any")
    func collisionWithZero() {
        var x = Exchange.association(in: .established)
        x.sctp(.o, tag: 0, .initiation(0xc), "tags b,c counted")
        x.sctp(.r, tag: 0, .initiation(0), "tags 0,c counted")
        x.sctp(.r, tag: 0xc, .initiationAck(0xb), "INVALID tags 0,c ignored")
        x.sctp(.r, tag: 0xc, .initiationAck(0), "tags 0,c counted")
    }

    @Test("observed: an INIT or INIT ACK without its fixed part is INVALID")
    func shortInitiation() {
        for byteCount in [0, 4, 8, 11, 12] {
            for type: UInt8 in [1, 2] {
                let chunk = Chunk(type: type, value: [UInt8](repeating: 0, count: byteCount))
                var x = Exchange()
                x.sctp(.o, tag: 0, chunk, "INVALID gone")
                x.expectRemark(nil)
                x = Exchange.association(in: .established)
                x.sctp(.o, tag: type == 1 ? 0 : 0xb, chunk, "INVALID tags b,a ignored")
                x.expectRemark(nil)
            }
        }
    }
}
