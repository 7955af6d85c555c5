import Testing
import Wire

@testable import Conntrack

/// How connections open: spec tcp.md §4, §5.1, §6.1, §6.2.
@Suite("TCP opens")
struct TCPOpeningTests {
    @Test("tcp.md case 1: SYN, SYN-ACK, ACK make SYN_SENT, SYN_RECV, ESTABLISHED assured")
    func handshake() {
        var x = Exchange()
        x.o(.syn, with: .full(7), "NEW SYN_SENT/120 U flags 03,00 scales 7,0 count 1,0")
        x.r(
            .synAck, with: .full(5),
            "ESTABLISHED-reply SYN_RECV/60 flags 03,23 scales 7,5 count 1,1")
        x.o(.ack, "ESTABLISHED ESTABLISHED/432000 A flags 23,23 scales 7,5 count 2,1")
        x.expectEvents([
            "NEW{SYN_SENT}", "UPDATE{SYN_RECV, SEEN_REPLY}", "UPDATE{ESTABLISHED, ASSURED}",
        ])
        x.expectTable(["ESTABLISHED/432000 A"])
    }

    @Test("tcp.md case 2: a retransmitted SYN neither counts nor refreshes")
    func retransmittedSYN() {
        var x = Exchange()
        x.step = .milliseconds(0)
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U count 1,0 counted")
        x.wait(seconds: 2.3)
        x.o(.syn, seq: 1000, "NEW count 1,0 ignored")
        let remaining = x.node.list(at: x.now).map(\.remainingTicks)
        // 117.7 s, which the tool shows as 117.
        x.expect("remaining ticks", remaining, [117 * 250 + 175])
    }

    @Test("tcp.md case 3: a SYN with a higher ISN replaces the first")
    func secondSYNHigher() {
        var x = Exchange()
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U")
        x.o(.syn, seq: 900_000, with: .full(7), "NEW SYN_SENT/120 U flags 03,00 scales 7,0")
        x.r(.synAck, ack: 900_001, with: .full(5), "ESTABLISHED-reply SYN_RECV/60 scales 7,5")
    }

    @Test("tcp.md case 3b: a SYN with a far lower ISN does not; its SYN-ACK is ignored")
    func secondSYNFarLower() {
        var x = Exchange()
        x.o(.syn, seq: 900_000, "NEW SYN_SENT/120 U")
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U")
        x.r(.synAck, ack: 1001, "ESTABLISHED-reply SYN_SENT/120 ignored count 1,0")
        x.expectRemark(
            "ignored ACK under lower bound \(900_001 - 66_000 - 1) (possible overly delayed)")
    }

    @Test("tcp.md case 3c: a SYN-ACK for a lower ISN within 66000 passes")
    func secondSYNLower() {
        var x = Exchange()
        x.o(.syn, seq: 50_000, "NEW SYN_SENT/120 U")
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U")
        x.r(.synAck, ack: 1001, "ESTABLISHED-reply SYN_RECV/60")
    }

    @Test("tcp.md case 4: a refused SYN leaves no entry")
    func refusedSYN() {
        var x = Exchange()
        x.o(.syn, seq: 1000)
        x.r(.rstAck, seq: 0, ack: 1001, "ESTABLISHED-reply gone")
        x.expectEvents(["NEW{SYN_SENT}", "DESTROY{CLOSE}"])
        // Both packets are in the counters: packetdrill.md C4.
        x.expect("packets", x.events.last?.entry.packetsOriginal, 1)
        x.expect("packets", x.events.last?.entry.packetsReply, 1)
        x.expectTable([])
    }

    @Test("tcp.md case 5: a SYN taken back by its sender leaves no entry")
    func withdrawnSYN() {
        var x = Exchange()
        x.o(.syn)
        x.o(.rst, "NEW gone")
        x.expectEvents(["NEW{SYN_SENT}", "DESTROY{CLOSE}"])
        x.expectTable([])
    }

    @Test("tcp.md case 5b: a RST+ACK for another SYN is INVALID")
    func strangeRST() {
        var x = Exchange()
        x.o(.syn)
        x.r(.rstAck, seq: 0, ack: 5555, "INVALID SYN_SENT/120 U invalid+1")
    }

    @Test("tcp.md case 6: a challenge ACK passes, and the RST that answers it closes")
    func challengeInSynSent() {
        var x = Exchange()
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U count 1,0")
        x.r(
            .ack, seq: 145_824_453, ack: 643_160_523,
            "ESTABLISHED-reply SYN_SENT/120 count 1,0 ignored")
        x.o(.rst, seq: 643_160_523, "ESTABLISHED CLOSE/10 counted")
        x.forgetEvents()
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U count 1,0")
        x.expectEvents(["DESTROY{CLOSE}", "NEW{SYN_SENT}"])
    }

    @Test("tcp.md case 35: scaling offered by one side only is off for both")
    func scaleFromOneSide() {
        var x = Exchange()
        x.o(.syn, with: .scale(7), "flags 01,00 scales 7,0")
        x.r(.synAck, "ESTABLISHED-reply SYN_RECV/60 scales 0,0 flags 01,20")
        x.o(.ack, "ESTABLISHED/432000 A scales 0,0 flags 21,20")
    }

    @Test("tcp.md case 35b: a shift above 14 counts as 14")
    func largestScale() {
        var x = Exchange()
        x.o(.syn, with: .scale(15), "scales 14,0")
        x.r(.synAck, with: .scale(2), "scales 14,2")
    }

    @Test("tcp.md §6.1: option parsing stops at what it cannot read, and keeps what it read")
    func brokenOptions() {
        let sackThenBroken = SegmentOptions(list: [.sackPermitted, .raw([8, 1]), .scale7])
        let sackThenEnd = SegmentOptions(list: [.sackPermitted, .endOfList, .scale7])
        let runsOver = SegmentOptions(list: [.sackPermitted, .raw([8, 10])])
        let wrongLengths = SegmentOptions(list: [
            .raw([4, 3, 0]), .raw([3, 4, 7, 0]), .noOperation,
        ])
        for options in [sackThenBroken, sackThenEnd, runsOver] {
            var x = Exchange()
            x.o(.syn, with: options, "NEW flags 02,00 scales 0,0")
        }
        var x = Exchange()
        x.o(.syn, with: wrongLengths, "NEW flags 00,00 scales 0,0")
    }

    @Test("tcp.md case 36: simultaneous open, each side answering with a SYN-ACK")
    func simultaneousOpen() {
        var x = Exchange()
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U")
        x.wait(seconds: 5)
        x.r(.syn, seq: 5000, "ESTABLISHED-reply SYN_SENT2/115 count 1,0 ignored")
        x.o(.synAck, seq: 1000, ack: 5001, "ESTABLISHED SYN_RECV/60 counted")
        x.r(.synAck, seq: 5000, ack: 1001, "ESTABLISHED-reply SYN_RECV/60 ignored")
        x.r(.ack, seq: 5001, ack: 1001, "ESTABLISHED-reply ESTABLISHED/432000 A counted")
    }

    @Test("tcp.md case 36b: simultaneous open, completed by R's SYN-ACK")
    func simultaneousOpenByReply() {
        var x = Exchange()
        x.o(.syn, seq: 1000, "NEW SYN_SENT/120 U")
        x.r(.syn, seq: 5000, "ESTABLISHED-reply SYN_SENT2/120 ignored")
        x.r(.synAck, seq: 5000, ack: 1001, "ESTABLISHED-reply SYN_RECV/60")
        x.o(.ack, seq: 1001, ack: 5001, "ESTABLISHED ESTABLISHED/432000 A")
    }

    @Test("tcp.md §6.2 B: another SYN of R with a higher end replaces its first, and is accepted")
    func secondSYNOfResponder() {
        var x = Exchange()
        x.o(.syn, seq: 1000, with: .full(7), "NEW SYN_SENT/120 U")
        x.r(.syn, seq: 5000, with: .full(7), "ESTABLISHED-reply SYN_SENT2/120 flags 03,03")
        x.expectWindows(o: "1001 / 1001 / 65535 / 7", r: "5001 / 5001 / 65535 / 7")
        x.r(.syn, seq: 6000, win: 500, "ESTABLISHED-reply flags 03,13 scales 7,7")
        // Not in SYN_SENT nor SYN_RECV: it only moves the window on.
        x.expectWindows(o: "1001 / 1001 / 65535 / 7", r: "6001 / 5001 / 65535 / 7")
        var y = Exchange()
        y.o(.syn, seq: 1000, with: .full(7), "NEW SYN_SENT/120 U")
        y.r(.synAck, seq: 5000, ack: 643_160_523, with: .full(7), "INVALID SYN_SENT/120 U")
        y.r(.syn, seq: 6000, win: 500, with: .scale(3), "ESTABLISHED-reply SYN_SENT2/120")
        y.expectWindows(o: "1001 / 1001 / 65535 / 7", r: "6001 / 6001 / 500 / 3")
    }

    @Test("tcp.md case 37: in SYN_RECV repeated SYN and SYN-ACK are ignored, R's ACK is not")
    func repeatedInSynReceived() {
        var x = Exchange.synReceived()
        x.r(.synAck, seq: 5000, with: .full(7), "ESTABLISHED-reply SYN_RECV/60 ignored count 1,1")
        x.o(.syn, seq: 1000, with: .full(7), "ESTABLISHED SYN_RECV/60 ignored count 1,1")
        x.wait(seconds: 3)
        x.r(.ack, "ESTABLISHED-reply SYN_RECV/60 counted count 1,2")
    }

    @Test("tcp.md case 40: SYN_SENT admits nothing of O but SYN and RST")
    func synSentRefuses() {
        var x = Exchange()
        x.o(.syn, "NEW SYN_SENT/120 U")
        x.o(.ack, seq: 1001, "INVALID SYN_SENT/120 U")
        x.expectRemark("packet (index 3) in dir 0 invalid, state SYN_SENT")
        x.o(.pshAck, seq: 1001, length: 100, "INVALID SYN_SENT/120 U")
        x.o(.finAck, seq: 1001, "INVALID SYN_SENT/120 U")
        x.r(.finAck, seq: 5000, "INVALID SYN_SENT/120 U")
        x.o(.synAck, seq: 1000, "INVALID SYN_SENT/120 U count 1,0")
    }

    @Test("tcp.md case 46: data on the SYN may be acknowledged")
    func fastOpenAccepted() {
        var x = Exchange()
        x.o(.syn, seq: 1000, length: 100, "NEW SYN_SENT/120 U")
        x.r(.synAck, ack: 1101, "ESTABLISHED-reply SYN_RECV/60")
    }

    @Test("tcp.md case 46: data on the SYN may be left unacknowledged")
    func fastOpenRefused() {
        var x = Exchange()
        x.o(.syn, seq: 1000, length: 100, "NEW SYN_SENT/120 U")
        x.r(.synAck, ack: 1001, "ESTABLISHED-reply SYN_RECV/60")
    }

    @Test("tcp.md case 47: sequence numbers wrap")
    func wrap() {
        var x = Exchange()
        x.next = [.o: 0xffff_fff0, .r: 0xffff_ff00]
        x.o(.syn, with: .full(7), "NEW SYN_SENT/120 U")
        x.r(.synAck, with: .full(7), "SYN_RECV/60")
        x.o(.ack, "ESTABLISHED/432000 A")
        for _ in 0..<4 {
            x.o(.pshAck, length: 100, "ESTABLISHED ESTABLISHED/300 A counted")
            x.r(.ack, "ESTABLISHED-reply ESTABLISHED/432000 A counted")
            x.r(.pshAck, length: 200, "ESTABLISHED-reply ESTABLISHED/300 A counted")
            x.o(.ack, "ESTABLISHED ESTABLISHED/432000 A counted")
        }
        x.expect("O has wrapped", x.next[.o], 385)
        x.expect("R has wrapped", x.next[.r], 545)
    }
}

extension TCPOption {
    fileprivate static let scale7 = TCPOption.windowScale(7)
}
