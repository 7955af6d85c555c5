import Testing
import Wire

@testable import Conntrack

/// The worked examples of spec tcp.md §13, with the numbers only the tracker knows: for each side
/// `end / maxend / maxwin / scale`.
@Suite("TCP worked examples")
struct TCPWorkedExampleTests {
    @Test("tcp.md X1: scaled handshake and data")
    func scaledHandshake() {
        var x = Exchange()
        x.window = 64240
        x.o(.syn, with: .full(7), "SYN_SENT/120 U")
        x.expectWindows(o: "1001 / 1001 / 64240 / 7", r: "0 / 64240 / 0 / 0")
        x.r(.synAck, win: 65160, with: .full(5), "SYN_RECV/60")
        x.expectWindows(o: "1001 / 66161 / 64240 / 7", r: "5001 / 5001 / 65160 / 5")
        x.o(.ack, win: 502, "ESTABLISHED/432000 A")
        x.expectWindows(o: "1001 / 66161 / 64256 / 7", r: "5001 / 69257 / 65160 / 5")
        x.o(.pshAck, win: 502, length: 500, "ESTABLISHED/300 A flags 33,23")
        x.expectWindows(o: "1501 / 66161 / 64256 / 7", r: "5001 / 69257 / 65160 / 5")
        x.r(.ack, win: 2000, "ESTABLISHED/432000 A flags 23,23")
        x.expectWindows(o: "1501 / 66161 / 64256 / 7", r: "5001 / 69257 / 65160 / 5")
        x.expect("R's highest ACK", x.tcp.reply.maxAcknowledgment, 1501)
        x.r(.pshAck, win: 2000, length: 1460, "ESTABLISHED/300 A flags 23,33")
        x.expectWindows(o: "1501 / 66161 / 64256 / 7", r: "6461 / 69257 / 65160 / 5")
        x.o(.ack, win: 501, "ESTABLISHED/432000 A flags 23,23")
        x.expectWindows(o: "1501 / 66161 / 64256 / 7", r: "6461 / 70589 / 65160 / 5")
        x.expect("O's highest ACK", x.tcp.original.maxAcknowledgment, 6461)
    }

    @Test("tcp.md X2: upper edge, unscaled, both windows 1000")
    func upperEdge() {
        var x = Exchange.plain()
        x.expectWindows(o: "1001 / 2001 / 1000 / 0", r: "5001 / 6001 / 1000 / 0")
        x.o(.pshAck, seq: 2001, length: 10, "ESTABLISHED counted")
        x.expectWindows(o: "2011 / 2001 / 1000 / 0", r: "5001 / 6001 / 1010 / 0")
        x.o(.pshAck, seq: 2002, length: 10, "ESTABLISHED ignored")
        x.expectWindows(o: "2012 / 2001 / 1000 / 0", r: "5001 / 6001 / 1010 / 0")
        x.r(.ack, ack: 2012, "ESTABLISHED-reply counted")
        x.expectWindows(o: "2012 / 3012 / 1000 / 0", r: "5001 / 6001 / 1010 / 0")
    }

    @Test("tcp.md §6.5: the overshot end is assigned, so it may fall")
    func overshootLowersEnd() {
        var x = Exchange.plain()
        x.o(.pshAck, seq: 2001, length: 900, "ESTABLISHED counted")
        x.expect("end", x.tcp.original.end, 2901)
        x.o(.pshAck, seq: 2002, length: 10, "ESTABLISHED ignored")
        x.expect("end", x.tcp.original.end, 2012)
        x.r(.ack, ack: 2901, "INVALID")
    }

    @Test("tcp.md §6.5: an overshot RST is ignored and does not close (case 23d)")
    func overshotReset() {
        var x = Exchange.plain()
        x.o(.rst, seq: 3000, "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.o(.rst, seq: 3001, "INVALID")
    }

    @Test("tcp.md X3 and case 28: the lower edge lies one window of the peer behind")
    func lowerEdge() {
        var x = Exchange.plain()
        x.o(.pshAck, length: 1000, "ESTABLISHED/300 A")
        x.r(.ack, "ESTABLISHED/432000 A")
        x.o(.pshAck, length: 1000, "ESTABLISHED/300 A")
        x.expect("O's end", x.tcp.original.end, 3001)
        x.o(.ack, seq: 1001, length: 1000, "ESTABLISHED counted")
        x.o(.ack, seq: 1001, length: 999, "ESTABLISHED ignored")
        x.expectRemark("SEQ is under lower bound 2000 (already ACKed data retransmitted)")
    }

    @Test("tcp.md X4 and case 29: ACKs may lag 66000 behind")
    func ackLowerBound() {
        var x = Exchange()
        x.window = 60_000
        x.shakeHands(.none, .none)
        for _ in 0..<3 {
            x.r(.pshAck, length: 40_000, "ESTABLISHED-reply counted")
            x.o(.ack, "ESTABLISHED counted")
        }
        let end = x.tcp.reply.end
        x.expect("R's end", end, 125_001)
        x.o(.ack, ack: end - 66_000, "ESTABLISHED counted")
        x.o(.ack, ack: end - 66_001, "ESTABLISHED ignored")
        x.expectRemark(
            "ignored ACK under lower bound \(end - 66_001) (possible overly delayed)")
    }

    @Test("tcp.md X4: or the sender's own largest window, where that is more")
    func ackLowerBoundScaled() {
        var x = Exchange.established()
        let window = UInt32(65535) << 7
        x.expect("O's window", x.tcp.original.maxWindow, window)
        while x.tcp.reply.end < 2 * window {
            x.r(.pshAck, length: 1400, "ESTABLISHED-reply counted")
            x.next[.r] = x.tcp.reply.maxEnd - 1400
            x.r(.pshAck, length: 1400, "ESTABLISHED-reply counted")
            x.o(.ack, ack: x.tcp.reply.end, "ESTABLISHED counted")
        }
        let end = x.tcp.reply.end
        x.o(.ack, ack: end - window, "ESTABLISHED counted")
        x.o(.ack, ack: end - window - 1, "ESTABLISHED ignored")
    }

    @Test("tcp.md X5: SACK")
    func sack() {
        var x = Exchange.established()
        x.window = 512  // 65536 when scaled.
        x.o(.pshAck, length: 1000, "ESTABLISHED/300 A")
        x.o(.pshAck, length: 1000, "ESTABLISHED/300 A")
        x.r(.ack, ack: 1001, with: .sack((2001, 3001)), "ESTABLISHED/300 A flags 33,23 counted")
        x.expect("O's maxend", x.tcp.original.maxEnd, 68_537)
        x.expect("R's maxwin", x.tcp.reply.maxWindow, 67_536)
        x.r(.ack, ack: 1001, with: .sack((2001, 3002)), "INVALID")
    }

    @Test("tcp.md X6: pickup")
    func pickup() {
        var x = Exchange()
        x.o(.ack, seq: 70_000, ack: 90_000, win: 500, "NEW ESTABLISHED/300 U flags 0a,0a")
        // Liberality left before R's side was touched.
        x.expectWindows(o: "70000 / 70500 / 500 / 0", r: "0 / 0 / 0 / 0")
        x.r(.ack, seq: 90_000, ack: 70_000, win: 500, "ESTABLISHED-reply ESTABLISHED/300")
        x.expectWindows(o: "70000 / 70500 / 500 / 0", r: "90000 / 90500 / 500 / 0")
        x.o(.ack, seq: 70_000, ack: 90_000, win: 500, "ESTABLISHED ESTABLISHED/432000 A")
    }

    @Test("tcp.md X7: resynchronisation")
    func resynchronisation() {
        var x = Exchange.established()
        x.o(.syn, seq: 400_000, win: 29_200, with: .scale(9), "ESTABLISHED ignored")
        x.r(
            .synAck, seq: 900_000, ack: 400_001, win: 28_960, with: .scale(3),
            "ESTABLISHED-reply SYN_RECV/60 A flags 01,21 scales 9,3")
        x.expectWindows(o: "400001 / 428961 / 29200 / 9", r: "900001 / 900001 / 28960 / 3")
        x.o(
            .ack, seq: 400_001, ack: 900_001, win: 229,
            "ESTABLISHED ESTABLISHED/432000 A scales 9,3")
        x.expect("O's maxwin", x.tcp.original.maxWindow, 117_248)
        x.expect("R's maxend", x.tcp.reply.maxEnd, 1_017_249)
    }

    @Test("tcp.md X8 and case 38: a stale SYN-ACK is INVALID and the right one still passes")
    func staleSynAck() {
        var x = Exchange()
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U")
        x.r(
            .synAck, seq: 145_824_453, ack: 643_160_523, win: 240,
            "INVALID SYN_SENT/120 U invalid+1 count 1,0")
        x.expect("R's end", x.tcp.reply.end, 145_824_454)
        x.expect("R's maxwin", x.tcp.reply.maxWindow, 240)
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U ignored")
        x.r(
            .synAck, seq: 145_758_918, ack: 1001, win: 250,
            "ESTABLISHED-reply SYN_RECV/60 counted")
        x.o(.ack, seq: 1001, ack: 145_758_919, "ESTABLISHED ESTABLISHED/432000 A")
    }

    @Test("tcp.md X8: with a distance above O's window the right SYN-ACK is ignored")
    func staleSynAckFarAway() {
        var x = Exchange()
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U")
        x.r(.synAck, seq: 145_824_453, ack: 643_160_523, "INVALID SYN_SENT/120 U")
        x.r(
            .synAck, seq: 145_824_453 - 65_536, ack: 1001,
            "ESTABLISHED-reply SYN_SENT/120 ignored")
    }

    @Test("tcp.md X9: simultaneous open")
    func simultaneousOpen() {
        var x = Exchange()
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U")
        x.r(.syn, seq: 5000, "ESTABLISHED-reply SYN_SENT2/120 ignored")
        x.o(.synAck, seq: 1000, ack: 5001, "ESTABLISHED SYN_RECV/60")
        x.r(.synAck, seq: 5000, ack: 1001, "ESTABLISHED-reply SYN_RECV/60 ignored")
        x.r(.ack, seq: 5001, ack: 1001, "ESTABLISHED-reply ESTABLISHED/432000 A")
        x.expectEvents([
            "NEW{SYN_SENT}", "UPDATE{SYN_SENT2, SEEN_REPLY}", "UPDATE{SYN_RECV}",
            "UPDATE{ESTABLISHED, ASSURED}",
        ])
    }

    @Test("tcp.md X10: restart of a client host")
    func restart() {
        var x = Exchange.established()
        x.o(.syn, seq: 7_000_000, "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.r(.ack, seq: 5001, ack: 1001, "ESTABLISHED-reply ESTABLISHED/432000 A counted")
        x.expect("R's highest ACK", x.tcp.reply.maxAcknowledgment, 1001)
        x.o(.rst, seq: 1001, "ESTABLISHED CLOSE/10 A")
        x.o(.syn, seq: 7_000_000, "NEW SYN_SENT/120 U")
    }
}
