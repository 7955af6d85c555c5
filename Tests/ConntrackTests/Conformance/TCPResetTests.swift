import Testing
import Wire

@testable import Conntrack

/// Resets: spec tcp.md §5.5.
@Suite("TCP resets")
struct TCPResetTests {
    /// O's window of `est`, scaled: the edge beyond which R may not send.
    private static let window: UInt32 = 65535 << 7

    @Test("tcp.md case 19: restart of a client host")
    func restart() {
        var x = Exchange.established()
        x.o(.syn, seq: 400_000, "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.r(.ack, "ESTABLISHED-reply ESTABLISHED/432000 A counted")
        x.o(.rst, seq: 1001, "ESTABLISHED CLOSE/10 A counted")
        x.o(.syn, seq: 400_000, "NEW SYN_SENT/120 U")
    }

    /// One RST of R on `est`.
    struct Row: CustomTestStringConvertible {
        var sequence: UInt32
        var expected: Expected
        var ignoresInvalidRST = false

        var testDescription: String {
            "seq \(sequence)\(ignoresInvalidRST ? ", tcp_ignore_invalid_rst" : ""): \(expected.text)"
        }
    }

    static let rows = [
        Row(sequence: 5001, expected: "ESTABLISHED-reply CLOSE/10 A counted"),
        Row(sequence: 5050, expected: "ESTABLISHED-reply ESTABLISHED/10 A counted"),
        Row(sequence: 5000, expected: "INVALID ESTABLISHED/432000 A"),
        Row(sequence: 5001 + window, expected: "ESTABLISHED-reply ESTABLISHED/10 A counted"),
        Row(
            sequence: 5001 + window + 1, expected: "ESTABLISHED-reply ESTABLISHED/432000 A ignored"),
        Row(sequence: 5001 + 2 * window, expected: "INVALID ESTABLISHED/432000 A"),
        Row(
            sequence: 5000, expected: "ESTABLISHED-reply ESTABLISHED/10 A counted",
            ignoresInvalidRST: true),
        Row(
            sequence: 5001 + 2 * window, expected: "INVALID ESTABLISHED/432000 A",
            ignoresInvalidRST: true),
    ]

    @Test("tcp.md case 23: a RST of R on an established connection", arguments: rows)
    func reset(row: Row) {
        var x = Exchange.established([
            "nf_conntrack_tcp_ignore_invalid_rst": row.ignoresInvalidRST ? 1 : 0
        ])
        x.r(.rst, seq: row.sequence, row.expected)
    }

    @Test("tcp.md case 23, Linux 6.12: an inexact RST leaves 300 s")
    func inexactIn612() {
        var x = Exchange.established(profile: .linux612)
        x.r(.rst, seq: 5050, "ESTABLISHED-reply ESTABLISHED/300 A counted")
        var y = Exchange.established(profile: .linux612)
        y.r(.rst, seq: 5001, "ESTABLISHED-reply CLOSE/10 A counted")
    }

    @Test("tcp.md case 23g: a RST right behind its own side's last segment closes")
    func behindOwnData() {
        var x = Exchange.established()
        x.r(.pshAck, length: 19, "ESTABLISHED/300 A")
        x.r(.rst, seq: 5020, "ESTABLISHED-reply CLOSE/10 A")
    }

    @Test("tcp.md §5.5-2d: only right behind it", arguments: [UInt32(5019), 5021])
    func notBehindOwnData(sequence: UInt32) {
        var x = Exchange.established()
        x.r(.pshAck, length: 19, "ESTABLISHED/300 A")
        x.r(.rst, seq: sequence, "ESTABLISHED-reply ESTABLISHED/10 A")
    }

    @Test("tcp.md §6.6-4: an older ACK does not lower the highest, below which a RST is INVALID")
    func olderAck() {
        var x = Exchange.established()
        x.r(.pshAck, length: 100, "ESTABLISHED/300 A")
        x.o(.ack, "ESTABLISHED/432000 A")
        x.o(.ack, ack: 5001, "ESTABLISHED counted")
        x.r(.rst, seq: 5050, "INVALID")
        x.r(.rst, seq: 5101, "ESTABLISHED-reply CLOSE/10 A")
    }

    @Test("tcp.md case 23h: not with a segment of the other side in between")
    func behindOwnDataInterrupted() {
        var x = Exchange.established()
        x.r(.pshAck, length: 19, "ESTABLISHED/300 A")
        x.o(.ack, ack: 5001, "ESTABLISHED/300 A")
        x.r(.rst, seq: 5020, "ESTABLISHED-reply ESTABLISHED/10 A")
    }

    @Test("tcp.md case 23i: an inexact RST moves its side's end; an ACK of it restores the life")
    func afterInexact() {
        var x = Exchange.established()
        x.r(.rst, seq: 5050, "ESTABLISHED-reply ESTABLISHED/10 A")
        x.o(.ack, ack: 5001, "ESTABLISHED ESTABLISHED/300 A")
        x.o(.ack, ack: 5050, "ESTABLISHED ESTABLISHED/432000 A")
    }

    @Test("tcp.md case 24: in SYN_RECV O's RST with sequence 0 closes")
    func zeroInSynReceived() {
        var x = Exchange.synReceived()
        x.o(.rst, seq: 0, "ESTABLISHED CLOSE/10")
    }

    @Test("tcp.md case 24b: in SYN_RECV a RST below R's acknowledgment is INVALID")
    func oldInSynReceived() {
        var x = Exchange.synReceived()
        x.o(.rst, seq: 999, "INVALID SYN_RECV/60")
    }

    @Test("tcp.md §5.5-3: a RST that acknowledges an unverified ACK closes at any sequence number")
    func answersChallenge() {
        var x = Exchange()
        x.o(.syn, "NEW SYN_SENT/120 U")
        x.r(.ack, seq: 145_824_453, ack: 643_160_523, "ESTABLISHED-reply SYN_SENT/120 ignored")
        x.o(.rstAck, seq: 5_000_000, ack: 145_824_454, "INVALID SYN_SENT/120")
        x.o(.rstAck, seq: 5_000_000, ack: 145_824_453, "ESTABLISHED CLOSE/10 counted")
    }

    @Test("tcp.md §6.3: in SYN_SENT a RST with sequence 0 has the one its side would send")
    func zeroInSynSent() {
        var x = Exchange()
        x.o(.syn, "NEW SYN_SENT/120 U")
        x.r(.synAck, seq: 145_824_453, ack: 643_160_523, "INVALID SYN_SENT/120 U")
        x.r(.rstAck, seq: 0, ack: 1001, "ESTABLISHED-reply gone")
    }

    @Test("tcp.md §6.3: a RST+ACK with acknowledgment 0 acknowledges what was sent")
    func zeroAcknowledgment() {
        var x = Exchange()
        x.next = [.o: 1_000_000, .r: 5000]
        x.shakeHands(.full(7), .full(7))
        x.r(.rstAck, ack: 0, "ESTABLISHED-reply CLOSE/10 A counted")
        x.expect("R's highest ACK", x.tcp.reply.maxAcknowledgment, 1_000_001)
    }

    @Test(
        "tcp.md case 25: once a FIN was seen a RST closes at any sequence number",
        arguments: [TCPState.finWait, .closeWait, .lastAck, .timeWait])
    func afterFIN(state: TCPState) {
        for sequence: UInt32 in [0, 1, 4999, 5002, 900_000, 3_000_000_000] {
            var x = Exchange.established()
            x.o(.finAck, "FIN_WAIT/120 A")
            if state != .finWait { x.r(.ack, "CLOSE_WAIT/60 A") }
            if state == .lastAck || state == .timeWait { x.r(.finAck, "LAST_ACK/30 A") }
            if state == .timeWait { x.o(.ack, "TIME_WAIT/120 A") }
            x.expect("state", x.tcp.state, state)
            x.r(.rst, seq: sequence, "ESTABLISHED-reply CLOSE/10 A counted")
        }
    }
}
