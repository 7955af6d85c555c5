import Testing
import Wire

@testable import Conntrack

/// The kernel's own packetdrill scripts as packet sequences: spec packetdrill.md part A.
///
/// The client is O, the server R, and all of them begin at sequence number 0.
@Suite("Kernel selftests: packetdrill")
struct PacketdrillTests {
    private static func exchange() -> Exchange {
        var x = Exchange()
        x.next = [.o: 0, .r: 0]
        return x
    }

    @Test("packetdrill.md A1: conntrack_ack_loss_stall")
    func ackLossStall() {
        var x = Self.exchange()
        x.o(.syn, win: 32_792, with: .maximumSegmentSize, "NEW SYN_SENT/120 U")
        x.r(.synAck, "ESTABLISHED-reply SYN_RECV/60")
        x.o(.ack, "ESTABLISHED ESTABLISHED/432000 A")
        for segment in 0..<46 {
            x.o(
                .ack, seq: 1 + 1460 * UInt32(segment), win: 257, length: 1460, "ESTABLISHED counted"
            )
            x.r(.ack, seq: 1, ack: 1461 + 1460 * UInt32(segment), "ESTABLISHED-reply counted")
        }
        x.expect("O's end", x.tcp.original.end, 67_161)
        x.o(
            .ack, seq: 1, ack: 1, win: 257, length: 1460,
            "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.expect("invalid", x.node.counters.invalid, 0)
    }

    /// SYN (sackOK, ws 8), SYN-ACK (mss only), ACK; three times 1000 bytes from the server.
    private static func download() -> Exchange {
        var x = exchange()
        x.o(.syn, with: .full(8), "NEW SYN_SENT/120 U")
        x.r(.synAck, with: .maximumSegmentSize, "ESTABLISHED-reply SYN_RECV/60")
        x.o(.ack, "ESTABLISHED ESTABLISHED/432000 A")
        for _ in 0..<3 {
            x.r(.pshAck, length: 1000, "ESTABLISHED-reply counted")
            x.o(.ack, "ESTABLISHED counted")
        }
        x.expect("the client's highest ACK", x.tcp.original.maxAcknowledgment, 3001)
        return x
    }

    @Test("packetdrill.md A2: conntrack_inexact_rst")
    func inexactRST() {
        var x = Self.download()
        x.o(.pshAck, length: 1000, "ESTABLISHED counted")
        x.r(.finAck, "ESTABLISHED-reply FIN_WAIT/120 A")
        x.o(.ack, "ESTABLISHED CLOSE_WAIT/60 A")
        x.o(.rstAck, "ESTABLISHED CLOSE/10 A")
        x.r(.rst, seq: 1, win: 0, "ESTABLISHED-reply CLOSE/10 A")
        x.expect("invalid", x.node.counters.invalid, 0)
    }

    @Test("packetdrill.md A3: conntrack_rst_invalid")
    func invalidRST() {
        var x = Self.download()
        x.r(.rst, seq: 0, "INVALID ESTABLISHED/432000 A")
        x.r(.rst, seq: 1_000_000, "INVALID ESTABLISHED/432000 A")
        x.r(.rst, seq: 42, "INVALID ESTABLISHED/432000 A")
        x.o(.pshAck, length: 1000, "ESTABLISHED counted")
        x.r(.ack, "ESTABLISHED-reply counted")
        x.r(.rstAck, seq: 3000, "INVALID ESTABLISHED/432000 A")
        x.expect("invalid", x.node.counters.invalid, 4)
        x.r(.rstAck, seq: 3001, "ESTABLISHED-reply CLOSE/10 A")
        x.expect("invalid", x.node.counters.invalid, 4)
    }

    @Test("packetdrill.md A4: conntrack_syn_challenge_ack")
    func synChallengeAck() {
        var x = Self.exchange()
        x.o(.syn, seq: 0, "NEW SYN_SENT/120 U")
        x.r(.ack, seq: 145_824_453, ack: 643_160_523, "ESTABLISHED-reply SYN_SENT/120 ignored")
        x.o(.rst, seq: 643_160_523, "ESTABLISHED CLOSE/10")
        x.o(.syn, seq: 0, "NEW SYN_SENT/120 U count 1,0")
        x.r(.synAck, seq: 0, ack: 1, "ESTABLISHED-reply SYN_RECV/60")
        x.o(.ack, seq: 1, ack: 1, "ESTABLISHED ESTABLISHED/432000 A")
        x.expect("invalid", x.node.counters.invalid, 0)
    }

    @Test("packetdrill.md A5: conntrack_synack_old")
    func oldSynAck() {
        var x = Self.exchange()
        x.o(.syn, seq: 0, with: .full(8), "NEW SYN_SENT/120 U")
        x.r(
            .synAck, seq: 145_824_453, ack: 643_160_523, win: 240, with: .full(8),
            "INVALID SYN_SENT/120 U")
        x.o(.syn, seq: 0, with: .full(8), "NEW SYN_SENT/120 U")
        x.r(
            .synAck, seq: 145_758_918, ack: 1, win: 250, with: .full(8),
            "ESTABLISHED-reply SYN_RECV/60")
        x.o(.ack, seq: 1, ack: 145_758_919, "ESTABLISHED ESTABLISHED/432000 A")
        x.o(.pshAck, seq: 1, ack: 145_758_919, length: 1, "ESTABLISHED ESTABLISHED/300 A")
        x.expect("invalid", x.node.counters.invalid, 1)
    }

    @Test("packetdrill.md A6: conntrack_synack_reuse")
    func reusedSynAck() {
        var x = Self.exchange()
        let client = SegmentOptions(list: [.timestamps(value: 1, echo: 0), .windowScale(7)])
        x.o(.syn, seq: 0, with: client, "NEW SYN_SENT/120 U")
        x.r(.synAck, seq: 0, ack: 1, with: .full(8), "ESTABLISHED-reply SYN_RECV/60")
        x.o(.ack, seq: 1, ack: 1, "ESTABLISHED ESTABLISHED/432000 A")
        x.o(.pshAck, seq: 1, ack: 1, length: 100, "ESTABLISHED counted")
        x.r(.ack, seq: 1, ack: 101, "ESTABLISHED-reply counted")
        x.o(.syn, seq: 2000, with: client, "ESTABLISHED ESTABLISHED/432000 A ignored")
        x.r(.ack, seq: 1, ack: 101, "ESTABLISHED-reply ESTABLISHED/432000 A counted")
        x.o(.rstAck, seq: 101, ack: 1, "ESTABLISHED CLOSE/10 A")
        x.o(.syn, seq: 2000, with: client, "NEW SYN_SENT/120 U count 1,0")
        x.r(.synAck, seq: 7000, ack: 2001, with: .full(8), "ESTABLISHED-reply SYN_RECV/60")
        x.expect("invalid", x.node.counters.invalid, 0)
    }

    @Test("packetdrill.md B3: a rule acts on a retried SYN only once its entry has expired")
    func unreplied() {
        let tracking = """
            table ip t {
                chain t {
                    type filter hook input priority 0
                    ct state new counter
                }
            }

            """
        let redirect = """
            table ip r {
                chain n {
                    type nat hook prerouting priority dstnat
                    ip daddr 10.2.0.2 tcp dport 80 redirect to :8080
                }
            }

            """
        var x = Exchange(["nf_conntrack_tcp_timeout_syn_sent": 3], rules: tracking)
        x.step = .milliseconds(0)
        x.o(.syn, seq: 1000, "NEW SYN_SENT/3 U count 1,0")
        x.replaceRules(with: tracking + redirect)
        for _ in 0..<3 {
            x.wait(seconds: 0.7)
            x.o(.syn, seq: 1000, "NEW count 1,0 ignored")
            x.expect("reply source port", x.node.list(at: x.now).first?.reply.sourcePart, 80)
        }
        x.wait(seconds: 1.4)
        x.o(.syn, seq: 1000, "NEW SYN_SENT/3 U count 1,0 counted")
        let redirected = x.node.list(at: x.now).map(\.reply.sourcePart)
        x.expect("reply source ports", redirected, [8080])
    }
}
