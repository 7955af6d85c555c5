import Testing
import Wire

@testable import Conntrack

/// Connections met in the middle: spec tcp.md §4, §8, §10.
@Suite("TCP is picked up")
struct TCPPickupTests {
    @Test("tcp.md case 7: an ACK without a connection opens a liberal one, assured after a reply")
    func pickup() {
        var x = Exchange()
        x.o(
            .ack, seq: 70_000, ack: 90_000, win: 500,
            "NEW ESTABLISHED/300 U flags 0a,0a scales 0,0")
        x.r(.ack, seq: 90_000, ack: 70_000, win: 500, "ESTABLISHED-reply ESTABLISHED/300")
        x.o(.ack, seq: 70_000, ack: 90_000, win: 500, "ESTABLISHED ESTABLISHED/432000 A")
    }

    @Test("tcp.md case 7b: a picked-up connection never finds sequence numbers INVALID")
    func pickupIsLiberal() {
        var x = Exchange()
        x.o(.ack, seq: 70_000, ack: 90_000, win: 500)
        x.r(.ack, seq: 90_000, ack: 70_000, win: 500)
        x.o(.ack, seq: 70_000, ack: 90_000, win: 500)
        for (seq, ack) in [(3_000_000_000, 5), (0, 4_000_000_000), (70_000, 1), (1, 90_000)]
            as [(UInt32, UInt32)]
        {
            x.o(.ack, seq: seq, ack: ack, "ESTABLISHED counted")
            x.r(.pshAck, seq: seq, ack: ack, length: 100, "ESTABLISHED-reply counted")
        }
    }

    @Test("tcp.md case 8: with tcp_loose=0 an ACK opens nothing")
    func strictPickup() {
        var x = Exchange(["nf_conntrack_tcp_loose": 0])
        x.o(.ack, "INVALID gone invalid+1")
        x.expectRemark(nil)
        x.o(.pshAck, length: 100, "INVALID gone invalid+1")
        x.expectTable([])
        x.expectEvents([])
    }

    @Test(
        "tcp.md case 9: nothing else opens a connection, whatever tcp_loose says",
        arguments: [0, 1])
    func nothingElseOpens(loose: Int) {
        var x = Exchange(["nf_conntrack_tcp_loose": loose])
        for flags: TCPFlags in [.finAck, .rst, .rstAck, .synAck] {
            x.o(flags, "INVALID gone invalid+1")
            x.expectRemark("invalid new")
        }
        x.expectTable([])
        x.expectEvents([])
    }

    @Test("tcp.md §6.2 A: the answer to a keep-alive probe moves the prober's end")
    func pickupOfProbe() {
        var x = Exchange()
        x.o(.ack, seq: 69_999, ack: 90_000, win: 500, "NEW ESTABLISHED/300 U")
        x.r(.ack, seq: 90_000, ack: 70_000, win: 500, "ESTABLISHED-reply ESTABLISHED/300")
        x.expect("O's end", x.tcp.original.end, 70_000)
        x.expect("R's highest ACK", x.tcp.reply.maxAcknowledgment, 70_000)
    }

    @Test("tcp.md case 43: hooks that come back begin window tracking anew")
    func hooksReturn() {
        let rules = """
            table ip t {
                chain c {
                    type filter hook forward priority 0
                    ct state new counter
                }
            }

            """
        var x = Exchange(rules: rules)
        x.window = 1000
        x.shakeHands(.none, .none)
        x.replaceRules(with: "")
        x.o(.pshAck, length: 100, "NONE count 2,1 ignored")
        x.replaceRules(with: rules)
        x.o(.pshAck, seq: 3_000_000, ack: 4_000_000, length: 100, "ESTABLISHED counted")
        x.r(.ack, seq: 4_000_000, ack: 3_000_100, "ESTABLISHED-reply counted")
        x.o(.ack, seq: 3_000_000, ack: 4_000_000, "ESTABLISHED")
    }

    @Test("tcp.md §6.6-5: a window nobody advertised yet is not enlarged")
    func unknownWindow() {
        var x = Exchange.plain()
        // As when hooks come back: spec tcp.md §10.
        x.node.table.forgetWindows(.ipv4, .initial)
        x.o(.pshAck, seq: 1001, length: 100, "ESTABLISHED counted")
        x.expectWindows(o: "1101 / 2101 / 1000 / 0", r: "5001 / 6001 / 0 / 0")
        x.o(.pshAck, seq: 2101, length: 100, "ESTABLISHED counted")
        x.expectWindows(o: "2201 / 2101 / 1000 / 0", r: "5001 / 6001 / 0 / 0")
    }

    @Test("tcp.md case 44: a pickup becomes assured with the packet after the first reply")
    func pickupAssured() {
        var x = Exchange()
        x.o(.ack, seq: 1, ack: 1, "NEW ESTABLISHED/300 U")
        x.r(.pshAck, seq: 1, ack: 1, length: 100, "ESTABLISHED-reply ESTABLISHED/300")
        x.r(.pshAck, seq: 101, ack: 1, length: 100, "ESTABLISHED-reply ESTABLISHED/300 A")
    }

    @Test("tcp.md case 45: a RST as the first answer ends a pickup")
    func pickupRefused() {
        var x = Exchange()
        x.o(.ack, seq: 70_000, ack: 90_000)
        x.r(.rst, seq: 90_000, "ESTABLISHED-reply gone")
        x.expectEvents(["NEW{ESTABLISHED}", "DESTROY{CLOSE}"])
        x.expectTable([])
    }
}
