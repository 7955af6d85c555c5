import Report
import Testing
import Verify
import Wire

extension LiveTests {
    /// Timeouts in real time, on the live kernel and on the model: spec table.md §6, §13.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct TimeTwoArmTests {
        @Test(
            "table.md §6, two arms (3.6 s of pauses): TCP, UDP and ICMP entries end with timeouts of 1-2 s",
            arguments: Family.allCases)
        func endsInTime(_ family: Family) throws {
            var x = try TwoArmExchange(
                family,
                sysctls: [
                    "nf_conntrack_tcp_timeout_syn_sent": 1,
                    "nf_conntrack_tcp_timeout_established": 2,
                    "nf_conntrack_udp_timeout": 2, "nf_conntrack_icmp_timeout": 1,
                    "nf_conntrack_icmpv6_timeout": 1,
                ])
            let there = PacketBuilder(
                family, from: try x.address(of: .o), to: try x.address(of: .r))
            let query = there.udp(from: 5000, to: 53)
            let ping = there.icmp(type: family == .ipv4 ? 8 : 128, identifier: 9)
            let syn = there.tcp(from: 6000, to: 80, flags: .syn)
            try x.o(.syn, "NEW SYN_SENT U")
            try x.r(.synAck, "ESTABLISHED-reply SYN_RECV")
            try x.o(.ack, "ESTABLISHED ESTABLISHED A")
            try x.send(query, called: "query", "NEW U")
            try x.send(ping, called: "ping", "NEW U")
            try x.send(syn, called: "SYN", "NEW SYN_SENT U")
            x.pause(seconds: 0.5)
            try x.send(query, called: "query", "NEW U")
            x.expectPackets([2, 0], "a query refreshes")
            x.pause(seconds: 0.8)
            try x.send(query, called: "query", "NEW U")
            x.expectPackets([3, 0], "2 s since the last one have not passed")
            try x.send(ping, called: "ping", "NEW U")
            x.expectPackets([1, 0], "1 s has passed")
            try x.send(syn, called: "SYN", "NEW SYN_SENT U")
            x.expectPackets([1, 0], "1 s has passed")
            try x.o(.pshAck, length: 10, "ESTABLISHED ESTABLISHED A")
            x.expectPackets([3, 1], "2 s have not passed")
            x.pause(seconds: 2.3)
            try x.o(.pshAck, length: 10, "NEW ESTABLISHED U")
            x.expectPackets([1, 0], "picked up in mid-stream")
            try x.send(query, called: "query", "NEW U")
            x.expectPackets([1, 0], "2 s have passed")
            try x.send(ping, called: "ping", "NEW U")
            try x.send(syn, called: "SYN", "NEW SYN_SENT U")
            #expect(x.events.count { $0 == "DESTROY" } >= 5)
            try x.expectSameTables()
        }
    }
}
