import Report
import Testing
import Verify
import Wire

extension LiveTests {
    /// Entries in zones that come out of a map: both arms have to look for them where they are.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct ZoneMapTwoArmTests {
        private static let rules = [
            "ct zone set iifname map { \"o\" : 3, \"r\" : 4 }",
            "meta l4proto { tcp, udp } ct zone set iifname . meta l4proto map {\n"
                + "\"o\" . tcp : 0x3, \"r\" . tcp : 4,\n\"o\" . udp : 5 } counter accept",
            "ip saddr 10.1.0.0/16 ct zone set ip daddr map { 10.2.0.2 : 3 }; "
                + "ct zone set iifname map { \"o\" : 7, \"r\" : 4 }",
        ]

        @Test("the entry of each direction is found in its zone", arguments: rules)
        func finds(_ rule: String) throws {
            var x = try TwoArmExchange(
                rules: "table ip t {\nchain c {\ntype filter hook prerouting priority raw\n"
                    + "\(rule)\n}\nchain s {\ntype filter hook forward priority 0\nct state new\n}\n}"
            )
            try x.o(.syn, seq: 0, "NEW SYN_SENT U")
            #expect(x.last?.live.entry?.zone == 3)
            // Of the other side nothing is known in its own zone.
            try x.r([.syn, .ack], seq: 0, ack: 1, "INVALID gone")
            #expect(x.last?.live.entry == nil)
        }
    }
}
