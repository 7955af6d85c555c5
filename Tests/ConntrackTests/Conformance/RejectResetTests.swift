import Testing
import Wire

@testable import Conntrack

/// A TCP reset by REJECT: spec tcp.md §11, policy.md case 6d.
@Suite("Rejected with a reset")
struct RejectResetTests {
    private static func exchange() -> Exchange {
        Exchange(
            ["nf_conntrack_tcp_timeout_close": 33],
            rules: """
                table inet t {
                    chain c {
                        type filter hook forward priority 0
                        ct mark 1 accept
                        tcp flags & (psh | urg) != 0 reject with tcp reset
                        udp dport 80 reject
                    }
                }

                """)
    }

    private static func open(_ x: inout Exchange) {
        x.o(.syn, "NEW SYN_SENT/120 U")
        x.r([.syn, .ack], "ESTABLISHED-reply SYN_RECV/60")
        x.o(.ack, "ESTABLISHED ESTABLISHED/432000 A")
        x.forgetEvents()
    }

    @Test("tcp.md §11: a known flow goes to CLOSE, and says so as the reset leaves")
    func closes() {
        for host in [Host.o, .r] {
            var x = Self.exchange()
            Self.open(&x)
            x.segment(host, [.ack, .psh], length: 5, "CLOSE/33 A dropped:rejected")
            x.expectTable(["CLOSE/33 A"])
            x.expectEvents(["UPDATE{CLOSE, SEEN_REPLY, ASSURED}"])
        }
    }

    @Test("tcp.md §11: a flow that is not confirmed goes with its packet")
    func leavesNothing() {
        var x = Self.exchange()
        x.o([.syn, .psh], "NEW gone dropped:rejected")
        x.expectTable([])
        x.expectEvents([])
    }

    @Test("policy.md §6: a reset is not answered, and closes nothing")
    func ignoresResets() {
        var x = Self.exchange()
        Self.open(&x)
        // Not exactly where the window begins, so that by itself it does not close either.
        x.r([.rst, .psh], seq: 5006, "ESTABLISHED/33 A dropped:rejected")
    }
}
