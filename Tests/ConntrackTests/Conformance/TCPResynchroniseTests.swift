import Testing
import Wire

@testable import Conntrack

/// SYNs and SYN-ACKs on connections that live: spec tcp.md §5.2, §5.3.
@Suite("TCP resynchronises")
struct TCPResynchroniseTests {
    @Test("tcp.md case 18: a SYN after the other side's RST passes unverified; its answer revives")
    func afterPeersReset() {
        var x = Exchange.established()
        x.r(.rstAck, "ESTABLISHED-reply CLOSE/10 A count 2,2 counted")
        x.o(.syn, seq: 400_000, with: .full(7), "ESTABLISHED CLOSE/10 A count 2,2 ignored")
        x.r(
            .synAck, seq: 900_000, ack: 400_001, with: .full(7),
            "ESTABLISHED-reply SYN_RECV/60 A counted")
        x.o(.ack, seq: 400_001, ack: 900_001, "ESTABLISHED ESTABLISHED/432000 A counted")
    }

    @Test("tcp.md §5.3: without an answer the closed entry dies, and a retransmitted SYN is new")
    func afterPeersResetUnanswered() {
        var x = Exchange.established()
        x.r(.rstAck, "CLOSE/10 A")
        x.wait(seconds: 5)
        x.o(.syn, seq: 400_000, "ESTABLISHED CLOSE/5 A ignored")
        x.wait(seconds: 6)
        x.o(.syn, seq: 400_000, "NEW SYN_SENT/120 U")
    }

    @Test("tcp.md case 20: SYN and SYN-ACK without options on a live connection")
    func withoutOptions() {
        var x = Exchange.established()
        x.o(.syn, seq: 400_000, "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.r(
            .synAck, seq: 900_000, ack: 400_001,
            "ESTABLISHED-reply SYN_RECV/60 A scales 0,0 flags 00,20")
    }

    @Test("tcp.md case 20b: a SYN-ACK for another SYN is ignored")
    func otherAnswer() {
        var x = Exchange.established()
        x.o(.syn, seq: 400_000, "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.r(
            .synAck, seq: 900_000, ack: 777,
            "ESTABLISHED-reply ESTABLISHED/432000 A ignored scales 7,7")
    }

    @Test("tcp.md case 20c: a RST+ACK that answers the SYN closes")
    func refused() {
        var x = Exchange.established()
        x.o(.syn, seq: 400_000, "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.r(.rstAck, seq: 0, ack: 400_001, "ESTABLISHED-reply CLOSE/10 A counted")
    }

    @Test("tcp.md §5.2-1, §6.1: on a pickup the answering side stays liberal, the other does not")
    func onPickup() {
        var x = Exchange()
        x.o(.ack, seq: 70_000, ack: 90_000)
        x.r(.ack, seq: 90_000, ack: 70_000)
        x.o(.ack, seq: 70_000, ack: 90_000, "ESTABLISHED/432000 A flags 2a,2a")
        x.o(.syn, seq: 400_000, with: .scale(7), "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.r(
            .synAck, seq: 900_000, ack: 400_001, with: .scale(7),
            "ESTABLISHED-reply SYN_RECV/60 A scales 7,7 flags 01,29")
    }

    @Test("tcp.md case 21: a SYN of R and a SYN-ACK of O are INVALID on a live connection")
    func wrongWay() {
        var x = Exchange.established()
        x.r(.syn, seq: 900_000, "INVALID ESTABLISHED/432000 A")
        x.expectRemark("packet (index 0) in dir 1 invalid, state ESTABLISHED")
        x.o(.synAck, seq: 900_000, "INVALID ESTABLISHED/432000 A")
        x.expectRemark("packet (index 1) in dir 0 invalid, state ESTABLISHED")
    }
}
