import Testing
import Wire

@testable import Conntrack

/// Which messages a listener gets, and when: spec packetdrill.md part C, formats.md §3 and §10.
@Suite("Event sequences")
struct EventSequenceTests {
    @Test("packetdrill.md C1: a TCP life, deleted in CLOSE_WAIT")
    func life() {
        var x = Exchange.established()
        x.o(.pshAck, length: 100)
        x.r(.ack)
        x.o(.finAck)
        x.r(.ack)
        x.wait(seconds: 10)
        x.node.table.flush(.initial, at: Moment(x.now, x.node.configuration.tickRate))
        x.wait(seconds: 0)
        x.expectEvents([
            "NEW{SYN_SENT}", "UPDATE{SYN_RECV, SEEN_REPLY}", "UPDATE{ESTABLISHED, ASSURED}",
            "UPDATE{FIN_WAIT}", "UPDATE{CLOSE_WAIT}", "DESTROY{CLOSE_WAIT}",
        ])
        let last = x.events.last?.entry
        x.expect("packets of O", last?.packetsOriginal, 4)
        x.expect("packets of R", last?.packetsReply, 3)
        x.expect("remaining ticks", last?.remainingTicks, 50 * 250)
    }

    @Test("packetdrill.md C2: an ignored challenge ACK in SYN_SENT reports the reply alone")
    func challenge() {
        var x = Exchange()
        x.o(.syn)
        x.r(.ack, seq: 145_824_453, ack: 643_160_523)
        x.expectEvents(["NEW{SYN_SENT}", "UPDATE{SEEN_REPLY}"])
    }

    @Test("packetdrill.md C3: a pickup reports reply and assurance without protocol part")
    func pickup() {
        var x = Exchange()
        x.o(.ack, seq: 70_000, ack: 90_000)
        x.r(.ack, seq: 90_000, ack: 70_000)
        x.o(.ack, seq: 70_000, ack: 90_000)
        x.expectEvents(["NEW{ESTABLISHED}", "UPDATE{SEEN_REPLY}", "UPDATE{ASSURED}"])
        x.expect("ticks in the last", x.events.last?.entry.remainingTicks, 432_000 * 250)
    }

    @Test("packetdrill.md C4: a SYN answered by a RST reports its end, with both packets")
    func refused() {
        var x = Exchange()
        x.o(.syn)
        x.forgetEvents()
        x.r(.rstAck, seq: 0, ack: 1001)
        x.expect("events", x.events.map(\.kind), [.destroy])
        x.expect("state", x.events.first?.entry.protocolState, TCPState.close.rawValue)
        x.expect("packets of O", x.events.first?.entry.packetsOriginal, 1)
        x.expect("packets of R", x.events.first?.entry.packetsReply, 1)
    }

    @Test("packetdrill.md C5: a RELATED error is no event, no refresh, no reply")
    func related() {
        var x = Exchange()
        x.udp(.o, "NEW 30 U count 1,0")
        let quoted = x.datagram(from: .o)
        x.wait(seconds: 5)
        x.error(.r, type: 3, code: 3, about: quoted, "RELATED-reply 25 U count 1,0 ignored")
        x.expectEvents(["NEW{}"])
    }

    // MARK: formats.md §3, "When events fire"

    @Test("formats.md §3: UDP reports its first packet, first reply and promotion, nothing else")
    func udp() {
        var x = Exchange()
        x.udp(.o)
        x.udp(.o)
        x.expectEvents(["NEW{}"])
        x.udp(.r)
        x.expectEvents(["NEW{}", "UPDATE{SEEN_REPLY}"])
        x.udp(.o)
        x.udp(.r)
        x.wait(seconds: 2)
        x.udp(.o, "ESTABLISHED 120 A")
        x.expectEvents(["NEW{}", "UPDATE{SEEN_REPLY}", "UPDATE{ASSURED}"])
        x.udp(.o)
        x.udp(.r)
        x.expectEvents(["NEW{}", "UPDATE{SEEN_REPLY}", "UPDATE{ASSURED}"])
    }

    @Test("formats.md §3: ICMP reports a request and its first reply")
    func icmp() {
        var x = Exchange()
        x.icmp(.o, type: 8)
        x.icmp(.r, type: 0)
        x.icmp(.o, type: 8)
        x.icmp(.r, type: 0)
        x.expectEvents(["NEW{}", "UPDATE{SEEN_REPLY}"])
    }

    @Test("formats.md §3: a RST on an established connection reports CLOSE")
    func reset() {
        var x = Exchange.established()
        x.forgetEvents()
        x.o(.rst)
        x.expect("events", x.events.map(\.kind), [.update])
        x.expect("state", x.events.first?.entry.protocolState, TCPState.close.rawValue)
        x.expect("ticks", x.events.first?.entry.remainingTicks, 10 * 250)
    }

    @Test("formats.md §3: untracked, INVALID and dropped packets report nothing")
    func silence() {
        let rules = """
            table ip t {
                chain raw {
                    type filter hook prerouting priority raw
                    udp dport 53 notrack
                }
                chain pass {
                    type filter hook forward priority 0
                    ct state new udp dport 54 drop
                }
            }

            """
        var x = Exchange(rules: rules)
        x.rPort = 53
        x.udp(.o, "UNTRACKED gone")
        x.rPort = 54
        x.udp(.o, "NEW gone dropped:rule")
        x.r(.synAck, "INVALID gone")
        x.expectEvents([])
        x.expectTable([])
    }

    @Test("formats.md §3: with events=2 only entries made while somebody listens report")
    func listener() {
        var x = Exchange()
        x.node.isListening = false
        x.udp(.o)
        x.node.isListening = true
        x.udp(.r)
        x.expectEvents([])
        x.rPort = 81
        x.udp(.o)
        x.udp(.r)
        x.expectEvents(["NEW{}", "UPDATE{SEEN_REPLY}"])
    }

    @Test("formats.md §3: an expired entry reports its end when a lookup or dump meets it")
    func expiry() {
        var x = Exchange(["nf_conntrack_udp_timeout": 3])
        // The collector's first look is a second after the start: nothing has expired then.
        x.udp(.o)
        x.wait(seconds: 3.5)
        x.forgetEvents()
        x.expectTable([])
        x.expect("destroyed by the dump or before", x.node.count, 0)
    }

    // MARK: formats.md §10

    private static func line(_ event: ConntrackEvent, of x: borrowing Exchange) -> String {
        let base = TimeBase(tickRate: x.node.configuration.tickRate, epochNanoseconds: 0)
        return Listing(base).eventLine(event)
    }

    @Test("formats.md case 13: the event lines of a complete TCP life")
    func lines() {
        let x = Exchange.timeWait()
        let expected = [
            "    [NEW] tcp      6 120 SYN_SENT ", " [UPDATE] tcp      6 60 SYN_RECV ",
            " [UPDATE] tcp      6 432000 ESTABLISHED ", " [UPDATE] tcp      6 120 FIN_WAIT ",
            " [UPDATE] tcp      6 60 CLOSE_WAIT ", " [UPDATE] tcp      6 30 LAST_ACK ",
            " [UPDATE] tcp      6 120 TIME_WAIT ",
        ]
        x.expect("events", x.events.count, expected.count)
        for (event, beginning) in zip(x.events, expected) {
            let line = Self.line(event, of: x)
            x.expect("line", String(line.prefix(beginning.count)), beginning)
        }
    }

    @Test("formats.md case 14: SYN and RST: NEW, then DESTROY with 119 CLOSE and [UNREPLIED]")
    func refusedLines() {
        var x = Exchange()
        x.o(.syn)
        x.r(.rstAck, seq: 0, ack: 1001)
        let lines = x.events.map { Self.line($0, of: x) }
        x.expect("lines", lines.count, 2)
        x.expect("NEW", lines.first?.hasPrefix("    [NEW] tcp      6 120 SYN_SENT "), true)
        x.expect("DESTROY", lines.last?.hasPrefix("[DESTROY] tcp      6 119 CLOSE "), true)
        x.expect("unreplied", lines.last?.contains(" [UNREPLIED] "), true)
    }

    @Test("formats.md case 15: UDP that comes again after its timeout: NEW, DESTROY, NEW")
    func againAfterTimeout() {
        var x = Exchange(["nf_conntrack_udp_timeout": 3])
        x.udp(.o)
        x.wait(seconds: 3.5)
        x.udp(.o)
        let lines = x.events.map { Self.line($0, of: x) }
        let expected = [
            "    [NEW] udp      17 3 src=", "[DESTROY] udp      17 src=",
            "    [NEW] udp      17 3 src=",
        ]
        x.expect("lines", lines.count, expected.count)
        for (line, beginning) in zip(lines, expected) {
            x.expect("line", String(line.prefix(beginning.count)), beginning)
        }
    }
}
