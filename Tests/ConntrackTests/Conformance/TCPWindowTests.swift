import Testing
import Wire

@testable import Conntrack

/// The windows: spec tcp.md §6.
@Suite("TCP windows")
struct TCPWindowTests {
    private static func oIsUnacknowledged(_ x: borrowing Exchange) -> Bool {
        x.tcp.original.flags.contains(.dataUnacknowledged)
    }

    @Test("tcp.md case 26: data just beyond the upper edge is let through uncounted")
    func overshoot() {
        var x = Exchange.plain()
        x.o(.pshAck, seq: 2002, length: 10, "ESTABLISHED count 2,1 ignored")
        x.expect("unacknowledged", Self.oIsUnacknowledged(x), true)
        x.expectRemark("12 bytes more than expected")
    }

    @Test("tcp.md case 26b: data that begins at the upper edge counts")
    func atUpperEdge() {
        var x = Exchange.plain()
        x.o(.pshAck, seq: 2001, length: 10, "ESTABLISHED count 3,1 counted")
    }

    @Test("tcp.md case 26c: data farther beyond it than the peer's window is INVALID")
    func farBeyond() {
        var x = Exchange.plain()
        x.o(.pshAck, seq: 2002, length: 1400, "INVALID count 2,1")
        x.expect("unacknowledged", Self.oIsUnacknowledged(x), false)
        x.expectRemark("SEQ is over upper bound 2002 (over the window of the receiver)")
    }

    @Test("tcp.md case 26d: an overshoot of exactly the peer's window is ignored")
    func wholeWindowBeyond() {
        var x = Exchange.plain()
        x.o(.pshAck, seq: 2002, length: 998, "ESTABLISHED count 2,1 ignored")
    }

    @Test("tcp.md case 26e: one byte more is INVALID")
    func moreThanWindowBeyond() {
        var x = Exchange.plain()
        x.o(.pshAck, seq: 2002, length: 999, "INVALID count 2,1")
    }

    @Test("tcp.md case 26f: the ACK of overshot data counts")
    func overshootAcknowledged() {
        var x = Exchange.plain()
        x.o(.pshAck, seq: 2002, length: 10, "ESTABLISHED ignored")
        x.r(.ack, ack: 2012, "ESTABLISHED-reply count 2,2 counted")
    }

    @Test("tcp.md case 27: an ACK of data nobody sent is INVALID")
    func ackOfUnseen() {
        var x = Exchange.plain()
        x.r(.ack, ack: 1002, "INVALID ESTABLISHED/432000 A")
        x.expectRemark("ACK is over upper bound 1002 (ACKed data not seen yet)")
    }

    @Test("tcp.md case 30: be_liberal counts any sequence number, and notes none")
    func liberal() {
        var x = Exchange.plain(["nf_conntrack_tcp_be_liberal": 1])
        x.o(.pshAck, seq: 3_000_000, length: 100, "ESTABLISHED ESTABLISHED/432000 A counted")
        x.expect("unacknowledged", Self.oIsUnacknowledged(x), false)
        x.r(.ack, ack: 9_999_999, "ESTABLISHED-reply ESTABLISHED/432000 A counted")
        x.expectWindows(o: "1001 / 2001 / 1000 / 0", r: "5001 / 6001 / 1000 / 0")
    }

    @Test("tcp.md §6.5 under be_liberal: a tolerable overshoot is noted as well as counted")
    func liberalOvershoot() {
        // Observed on 6.18; §6.4 speaks of segments beyond even that.
        var x = Exchange.plain(["nf_conntrack_tcp_be_liberal": 1])
        x.o(.pshAck, seq: 2002, length: 10, "ESTABLISHED ESTABLISHED/300 A flags 30,20 counted")
        x.expectRemark(nil)
        x.expectWindows(o: "2012 / 2001 / 1000 / 0", r: "5001 / 6001 / 1000 / 0")
        x.sysctl("nf_conntrack_tcp_be_liberal", 0)
        x.r(.ack, ack: 2012, "ESTABLISHED-reply ESTABLISHED/432000 A counted")
    }

    @Test("tcp.md case 30b: be_liberal does not help a RST below the acknowledgment")
    func liberalReset() {
        var x = Exchange.plain(["nf_conntrack_tcp_be_liberal": 1])
        x.r(.rst, seq: 5000, "INVALID ESTABLISHED/432000 A")
        x.r(.rst, seq: 50_000_000, "ESTABLISHED-reply ESTABLISHED/10 A counted")
    }

    @Test("tcp.md case 34: a SACK block moves the acknowledgment to its right edge")
    func sack() {
        var x = Exchange.established()
        x.o(.pshAck, length: 100, "ESTABLISHED/300 A")
        x.r(.ack, ack: 1001, with: .sack((1200, 1300)), "INVALID")
        x.r(.ack, ack: 1001, with: .sack((1051, 1101)), "ESTABLISHED-reply counted")
    }

    @Test("tcp.md case 34b: only where O permitted SACK")
    func sackNotPermitted() {
        var x = Exchange()
        x.shakeHands(.scale(7), .scale(7))
        x.o(.pshAck, length: 100, "ESTABLISHED/300 A")
        x.r(.ack, ack: 1001, with: .sack((1200, 1300)), "ESTABLISHED-reply counted")
    }

    @Test("tcp.md §6.6-6: a zero window leaves room for a probe")
    func roomForProbe() {
        var x = Exchange.plain()
        x.o(.pshAck, length: 1000, "ESTABLISHED counted")
        x.r(.ack, win: 0, "ESTABLISHED-reply counted")
        x.expectWindows(o: "2001 / 2002 / 1000 / 0", r: "5001 / 6001 / 1000 / 0")
    }

    @Test("tcp.md case 42: keep-alive probes count", arguments: [0, 1])
    func keepAlive(length: Int) {
        var x = Exchange.plain()
        x.o(.ack, seq: 1000, length: length, "ESTABLISHED ESTABLISHED/432000 A counted")
        x.r(.ack, ack: 1001, "ESTABLISHED-reply ESTABLISHED/432000 A counted")
    }
}

/// Timeouts that depend on what the connection does: spec tcp.md §7.
@Suite("TCP timeouts")
struct TCPTimeoutTests {
    @Test("tcp.md case 31: the third repetition of an ACK shortens the life to max_retrans")
    func retransmissions() {
        var x = Exchange.plain()
        x.o(.ack, "ESTABLISHED/432000 A")
        x.o(.ack, "ESTABLISHED/432000 A")
        x.o(.ack, "ESTABLISHED/300 A")
        x.o(.ack, "ESTABLISHED/300 A")
        x.o(.ack, win: 999, "ESTABLISHED/432000 A")
    }

    @Test("tcp.md §7: tcp_max_retrans and tcp_timeout_max_retrans say how many and how long")
    func retransmissionSettings() {
        var x = Exchange.plain()
        x.sysctl("nf_conntrack_tcp_max_retrans", 1)
        x.sysctl("nf_conntrack_tcp_timeout_max_retrans", 77)
        x.o(.ack, "ESTABLISHED/77 A")
    }

    @Test("tcp.md §7: a FIN does not reset the repetitions, nor do they lengthen a shorter life")
    func retransmissionsThenFIN() {
        for (timeout, expected): (Int, Expected) in [
            (120, "FIN_WAIT/120 A"), (1000, "FIN_WAIT/300 A"),
        ] {
            var x = Exchange.plain([
                "nf_conntrack_tcp_timeout_fin_wait": timeout,
                "nf_conntrack_tcp_timeout_unacknowledged": 2000,
            ])
            for _ in 0..<3 { x.o(.ack) }
            x.expect("repetitions", x.tcp.retransmissions, 3)
            x.o(.finAck, expected)
        }
    }

    @Test("tcp.md §7 U3: only ESTABLISHED waits no longer than 300 s for its first reply")
    func unrepliedLives() {
        var x = Exchange([
            "nf_conntrack_tcp_timeout_syn_sent": 1000,
            "nf_conntrack_tcp_timeout_max_retrans": 5000,
        ])
        x.o(.syn, "NEW SYN_SENT/1000 U")
    }

    @Test("tcp.md §7-4: before the first ACK the last window is 0, so max_retrans bounds the life")
    func boundBeforeFirstACK() {
        var x = Exchange([
            "nf_conntrack_tcp_timeout_syn_sent": 1000, "nf_conntrack_tcp_timeout_syn_recv": 500,
        ])
        x.o(.syn, "NEW SYN_SENT/300 U")
        x.r(.synAck, "ESTABLISHED-reply SYN_RECV/300")
    }

    @Test("tcp.md case 32: a zero window shortens the life until a window opens")
    func zeroWindow() {
        var x = Exchange.plain()
        x.r(.ack, win: 0, "ESTABLISHED/300 A")
        x.o(.ack, win: 5, "ESTABLISHED/432000 A")
    }

    @Test("tcp.md case 33: data shortens the life until all of it is acknowledged")
    func unacknowledgedData() {
        var x = Exchange.plain()
        x.o(.pshAck, length: 100, "ESTABLISHED/300 A")
        x.r(.ack, ack: 1051, "ESTABLISHED/300 A")
        x.r(.ack, ack: 1101, "ESTABLISHED/432000 A")
    }

    @Test("tcp.md §7: every state has the timeout of its setting")
    func settings() {
        var x = Exchange([
            "nf_conntrack_tcp_timeout_syn_sent": 11, "nf_conntrack_tcp_timeout_syn_recv": 12,
            "nf_conntrack_tcp_timeout_established": 13, "nf_conntrack_tcp_timeout_fin_wait": 14,
            "nf_conntrack_tcp_timeout_close_wait": 15, "nf_conntrack_tcp_timeout_last_ack": 16,
            "nf_conntrack_tcp_timeout_time_wait": 17, "nf_conntrack_tcp_timeout_close": 18,
        ])
        x.o(.syn, "SYN_SENT/11 U")
        x.r(.synAck, "SYN_RECV/12")
        x.o(.ack, "ESTABLISHED/13 A")
        x.o(.finAck, "FIN_WAIT/14 A")
        x.r(.ack, "CLOSE_WAIT/15 A")
        x.r(.finAck, "LAST_ACK/16 A")
        x.o(.ack, "TIME_WAIT/17 A")
        x.r(.rst, "CLOSE/18 A")
    }

    @Test("tcp.md §7: a changed setting counts from the next packet on")
    func changedSetting() {
        var x = Exchange.established()
        x.sysctl("nf_conntrack_tcp_timeout_established", 500)
        x.expectTable(["ESTABLISHED/432000 A"])
        x.o(.ack, "ESTABLISHED/500 A")
    }
}
