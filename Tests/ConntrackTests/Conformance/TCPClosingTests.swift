import Testing
import Wire

@testable import Conntrack

/// How connections close, and what follows: spec tcp.md §5.3, §5.4, §5.7, §6.7.
@Suite("TCP closes")
struct TCPClosingTests {
    @Test("tcp.md case 13: FIN, ACK, FIN, ACK")
    func orderlyClose() {
        var x = Exchange.established()
        x.o(.finAck, "ESTABLISHED FIN_WAIT/120 A flags 37,23")
        x.r(.ack, "ESTABLISHED-reply CLOSE_WAIT/60 A flags 27,23")
        x.r(.finAck, "ESTABLISHED-reply LAST_ACK/30 A flags 27,33")
        x.o(.ack, "ESTABLISHED TIME_WAIT/120 A flags 27,23")
        x.wait(seconds: 20)
        x.o(.ack, "ESTABLISHED TIME_WAIT/120 A counted")
    }

    @Test("tcp.md case 14: both FINs before any ACK")
    func crossingFINs() {
        var x = Exchange.established()
        x.o(.finAck, "FIN_WAIT/120 A")
        x.r(.finAck, ack: 1001, "LAST_ACK/30 A")
        x.o(.ack, "TIME_WAIT/120 A")
        x.r(.ack, "TIME_WAIT/120 A")
    }

    @Test("tcp.md case 15: O's SYN reopens a connection in TIME_WAIT")
    func reopenedByOriginator() {
        var x = Exchange.timeWait()
        x.forgetEvents()
        x.o(.syn, seq: 400_000, "NEW SYN_SENT/120 U count 1,0")
        x.expectEvents(["DESTROY{TIME_WAIT}", "NEW{SYN_SENT}"])
        x.expectTable(["SYN_SENT/120 U"])
    }

    @Test("tcp.md case 16: R's SYN reopens it with R as the originator")
    func reopenedByResponder() {
        var x = Exchange.timeWait()
        x.r(.syn, seq: 400_000, "NEW SYN_SENT/120 U count 1,0")
        x.expectTable(["SYN_SENT/120 U"])
        let original = x.node.list(at: x.now).first?.original
        x.expect("originator's port", original?.sourcePart, 80)
        x.expect("originator's address", original?.source, x.address(of: .r))
    }

    @Test("tcp.md case 17: a SYN after its own side's RST makes a fresh entry")
    func reopenedAfterOwnRST() {
        var x = Exchange.established()
        x.o(.rstAck, "ESTABLISHED CLOSE/10 A counted")
        x.forgetEvents()
        x.o(.syn, seq: 400_000, "NEW SYN_SENT/120 U count 1,0")
        x.expectEvents(["DESTROY{CLOSE}", "NEW{SYN_SENT}"])
    }

    @Test("tcp.md case 22: in LAST_ACK a challenge ACK is not the ACK of the last FIN")
    func challengeInLastAck() {
        var x = Exchange.established()
        x.r(.finAck, "FIN_WAIT/120 A flags 23,37")
        x.o(.finAck, "LAST_ACK/30 A")
        x.o(.syn, seq: 400_000, "ESTABLISHED LAST_ACK/30 A ignored")
        x.r(.ack, "ESTABLISHED-reply LAST_ACK/30 A ignored")
        x.expectRemark("challenge-ack ignored")
        x.r(.ack, "ESTABLISHED-reply TIME_WAIT/120 A counted")
    }

    @Test("tcp.md case 39: FINs out of window from both sides shorten the life to 300 s")
    func strayFINs() {
        var x = Exchange.plain()
        x.o(.finAck, seq: 900_000, "INVALID ESTABLISHED/432000 A")
        x.r(.finAck, seq: 900_000, "INVALID ESTABLISHED/300 A")
        x.expect("log lines", x.remarks.count, 2)
        x.expect(
            "second log line", x.remarks.last,
            "packet (index 2, dir 1) response for index 2 lower timeout to 75000")
    }

    @Test("tcp.md case 39b: two from one side do not")
    func strayFINsOfOneSide() {
        var x = Exchange.plain()
        x.o(.finAck, seq: 900_000, "INVALID ESTABLISHED/432000 A")
        x.o(.finAck, seq: 900_000, "INVALID ESTABLISHED/432000 A")
    }

    @Test("tcp.md §6.7: a RST answers a FIN as well, but not one refused for its age")
    func strayResets() {
        var x = Exchange.plain()
        x.o(.finAck, seq: 900_000, "INVALID ESTABLISHED/432000 A")
        // Below R's highest acknowledgment: refused before the windows are looked at.
        x.r(.rst, seq: 4000, "INVALID ESTABLISHED/432000 A")
        x.expectRemark("invalid rst")
        x.r(.rst, seq: 900_000, "INVALID ESTABLISHED/300 A")
    }

    @Test("tcp.md §6.7: a life below 120 s or the unacknowledged timeout is left alone")
    func strayFINsOnShortLife() {
        var x = Exchange.plain()
        x.sysctl("nf_conntrack_tcp_timeout_established", 119)
        x.o(.ack, "ESTABLISHED/119 A")
        x.o(.finAck, seq: 900_000, "INVALID ESTABLISHED/119 A")
        x.r(.finAck, seq: 900_000, "INVALID ESTABLISHED/119 A")
        var y = Exchange.plain()
        y.sysctl("nf_conntrack_tcp_timeout_established", 290)
        y.o(.ack, "ESTABLISHED/290 A")
        y.o(.finAck, seq: 900_000, "INVALID ESTABLISHED/290 A")
        y.r(.finAck, seq: 900_000, "INVALID ESTABLISHED/290 A")
        var w = Exchange.plain()
        w.sysctl("nf_conntrack_tcp_timeout_established", 100)
        w.sysctl("nf_conntrack_tcp_timeout_unacknowledged", 60)
        w.o(.ack, "ESTABLISHED/100 A")
        w.o(.finAck, seq: 900_000, "INVALID ESTABLISHED/100 A")
        w.r(.finAck, seq: 900_000, "INVALID ESTABLISHED/100 A")
        var z = Exchange.plain()
        z.sysctl("nf_conntrack_tcp_timeout_unacknowledged", 60)
        z.o(.finAck, seq: 900_000, "INVALID ESTABLISHED/432000 A")
        z.r(.finAck, seq: 900_000, "INVALID ESTABLISHED/60 A")
    }

    @Test("tcp.md case 41: a FIN in SYN_RECV")
    func finInSynReceived() {
        var x = Exchange.synReceived()
        x.o(.finAck, "ESTABLISHED FIN_WAIT/120")
        x.expect("O began the close", x.tcp.original.flags.contains(.closeInitiator), true)
        x.expect("R began the close", x.tcp.reply.flags.contains(.closeInitiator), false)
    }
}
