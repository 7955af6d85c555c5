import Report
import Testing
import Verify
import Wire

extension LiveTests {
    /// The kernel's own packetdrill scripts, through the live kernel and the model: spec
    /// packetdrill.md part A.
    ///
    /// The client is O, the server R, and all of them begin at sequence number 0.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct PacketdrillTwoArmTests {
        static let families = Family.allCases
        private static let mss: [TCPOption] = [.maximumSegmentSize(1460)]

        private static func full(_ shift: UInt8) -> [TCPOption] {
            [.sackPermitted, .noOperation, .noOperation, .windowScale(shift), .noOperation]
        }

        @Test("packetdrill.md A1, two arms: conntrack_ack_loss_stall", arguments: families)
        func ackLossStall(_ family: Family) throws {
            // Room for the script's segments in IPv6 as well.
            var x = try TwoArmExchange(
                family,
                interfaces: [
                    "o: { addresses: [10.1.0.1/16, 'fd01::1/64'], mtu: 1520 }",
                    "r: { addresses: [10.2.0.1/16, 'fd02::1/64'], mtu: 1520, default: true }",
                ])
            try x.o(.syn, win: 32_792, with: Self.mss, "NEW SYN_SENT U")
            try x.r(.synAck, "ESTABLISHED-reply SYN_RECV")
            try x.o(.ack, "ESTABLISHED ESTABLISHED A")
            for segment in 0..<UInt32(46) {
                try x.o(
                    .ack, seq: 1 + 1460 * segment, ack: 1, win: 257, length: 1460,
                    "ESTABLISHED ESTABLISHED A")
                try x.r(.ack, seq: 1, ack: 1461 + 1460 * segment, "ESTABLISHED-reply ESTABLISHED A")
            }
            let counted = x.last?.live.entry?.packets
            try x.o(.ack, seq: 1, ack: 1, win: 257, length: 1460, "ESTABLISHED ESTABLISHED A")
            #expect(counted == [48, 47] && x.last?.live.entry?.packets == counted, "it is ignored")
            #expect(x.invalid == 0)
            try x.expectSameTables()
        }

        /// SYN (sackOK, ws 8), SYN-ACK (mss only), ACK; three times 1000 bytes from the server.
        private func download(_ family: Family) throws -> TwoArmExchange {
            var x = try TwoArmExchange(family)
            try x.o(.syn, with: Self.full(8), "NEW SYN_SENT U")
            try x.r(.synAck, with: Self.mss, "ESTABLISHED-reply SYN_RECV")
            try x.o(.ack, "ESTABLISHED ESTABLISHED A")
            for _ in 0..<3 {
                try x.r(.pshAck, length: 1000, "ESTABLISHED-reply ESTABLISHED A")
                try x.o(.ack, "ESTABLISHED ESTABLISHED A")
            }
            return x
        }

        @Test("packetdrill.md A2, two arms: conntrack_inexact_rst", arguments: families)
        func inexactRST(_ family: Family) throws {
            var x = try download(family)
            try x.o(.pshAck, length: 1000, "ESTABLISHED ESTABLISHED A")
            try x.r(.finAck, "ESTABLISHED-reply FIN_WAIT A")
            try x.o(.ack, "ESTABLISHED CLOSE_WAIT A")
            try x.o(.rstAck, "ESTABLISHED CLOSE A")
            try x.r(.rst, seq: 1, win: 0, "ESTABLISHED-reply CLOSE A")
            #expect(x.invalid == 0)
            try x.expectSameTables()
        }

        @Test("packetdrill.md A3, two arms: conntrack_rst_invalid", arguments: families)
        func invalidRST(_ family: Family) throws {
            var x = try download(family)
            for sequence: UInt32 in [0, 1_000_000, 42] {
                try x.r(.rst, seq: sequence, "INVALID ESTABLISHED A")
            }
            try x.o(.pshAck, length: 1000, "ESTABLISHED ESTABLISHED A")
            try x.r(.ack, "ESTABLISHED-reply ESTABLISHED A")
            try x.r(.rstAck, seq: 3000, "INVALID ESTABLISHED A")
            #expect(x.invalid == 4)
            try x.r(.rstAck, seq: 3001, "ESTABLISHED-reply CLOSE A")
            #expect(x.invalid == 4)
            try x.expectSameTables()
        }

        @Test("packetdrill.md A4, two arms: conntrack_syn_challenge_ack", arguments: families)
        func synChallengeAck(_ family: Family) throws {
            var x = try TwoArmExchange(family)
            try x.o(.syn, seq: 0, "NEW SYN_SENT U")
            try x.r(.ack, seq: 145_824_453, ack: 643_160_523, "ESTABLISHED-reply SYN_SENT")
            try x.o(.rst, seq: 643_160_523, "ESTABLISHED CLOSE")
            try x.o(.syn, seq: 0, "NEW SYN_SENT U")
            #expect(x.last?.live.entry?.packets == [1, 0], "a fresh entry")
            try x.r(.synAck, seq: 0, ack: 1, "ESTABLISHED-reply SYN_RECV")
            try x.o(.ack, seq: 1, ack: 1, "ESTABLISHED ESTABLISHED A")
            #expect(x.invalid == 0)
            try x.expectSameTables()
        }

        @Test("packetdrill.md A5, two arms: conntrack_synack_old", arguments: families)
        func oldSynAck(_ family: Family) throws {
            var x = try TwoArmExchange(family)
            try x.o(.syn, seq: 0, with: Self.full(8), "NEW SYN_SENT U")
            try x.r(
                .synAck, seq: 145_824_453, ack: 643_160_523, win: 240, with: Self.full(8),
                "INVALID SYN_SENT U")
            try x.o(.syn, seq: 0, with: Self.full(8), "NEW SYN_SENT U")
            try x.r(
                .synAck, seq: 145_758_918, ack: 1, win: 250, with: Self.full(8),
                "ESTABLISHED-reply SYN_RECV")
            try x.o(.ack, seq: 1, ack: 145_758_919, "ESTABLISHED ESTABLISHED A")
            try x.o(.pshAck, seq: 1, ack: 145_758_919, length: 1, "ESTABLISHED ESTABLISHED A")
            #expect(x.invalid == 1)
            try x.expectSameTables()
        }

        @Test("packetdrill.md A6, two arms: conntrack_synack_reuse", arguments: families)
        func reusedSynAck(_ family: Family) throws {
            var x = try TwoArmExchange(family)
            let client: [TCPOption] = [.timestamps(value: 1, echo: 0), .windowScale(7)]
            try x.o(.syn, seq: 0, with: client, "NEW SYN_SENT U")
            try x.r(.synAck, seq: 0, ack: 1, with: Self.full(8), "ESTABLISHED-reply SYN_RECV")
            try x.o(.ack, seq: 1, ack: 1, "ESTABLISHED ESTABLISHED A")
            try x.o(.pshAck, seq: 1, ack: 1, length: 100, "ESTABLISHED ESTABLISHED A")
            try x.r(.ack, seq: 1, ack: 101, "ESTABLISHED-reply ESTABLISHED A")
            try x.o(.syn, seq: 2000, with: client, "ESTABLISHED ESTABLISHED A")
            try x.r(.ack, seq: 1, ack: 101, "ESTABLISHED-reply ESTABLISHED A")
            try x.o(.rstAck, seq: 101, ack: 1, "ESTABLISHED CLOSE A")
            try x.o(.syn, seq: 2000, with: client, "NEW SYN_SENT U")
            #expect(x.last?.live.entry?.packets == [1, 0], "a fresh entry")
            try x.r(.synAck, seq: 7000, ack: 2001, with: Self.full(8), "ESTABLISHED-reply SYN_RECV")
            #expect(x.invalid == 0)
            try x.expectSameTables()
        }

        // MARK: Part C: sequences of events

        @Test("packetdrill.md C1-C5, two arms: what listeners are told", arguments: families)
        func tellsEvents(_ family: Family) throws {
            var x = try TwoArmExchange(family)
            try x.o(.syn, with: Self.full(7), "NEW SYN_SENT U")
            try x.r(.synAck, with: Self.full(7), "ESTABLISHED-reply SYN_RECV")
            try x.o(.ack, "ESTABLISHED ESTABLISHED A")
            #expect(x.events == ["NEW", "UPDATE", "UPDATE"])
            try x.o(.pshAck, length: 10, "ESTABLISHED ESTABLISHED A")
            try x.r(.ack, "ESTABLISHED-reply ESTABLISHED A")
            #expect(x.events.count == 3, "C1: data and ACKs are no event")
            try x.o(.finAck, "ESTABLISHED FIN_WAIT A")
            try x.r(.ack, "ESTABLISHED-reply CLOSE_WAIT A")
            #expect(x.events.count == 5)

            var challenge = try TwoArmExchange(family)
            try challenge.o(.syn, "NEW SYN_SENT U")
            try challenge.r(.ack, seq: 9000, ack: 9000, "ESTABLISHED-reply SYN_SENT")
            #expect(challenge.events == ["NEW", "UPDATE"], "C2: SEEN_REPLY")

            var pickup = try TwoArmExchange(family)
            try pickup.o(.ack, seq: 100, ack: 200, "NEW ESTABLISHED U")
            try pickup.r(.ack, seq: 200, ack: 100, "ESTABLISHED-reply ESTABLISHED")
            try pickup.o(.ack, seq: 100, ack: 200, "ESTABLISHED ESTABLISHED A")
            #expect(pickup.events == ["NEW", "UPDATE", "UPDATE"], "C3")

            var refusal = try TwoArmExchange(family)
            try refusal.o(.syn, "NEW SYN_SENT U")
            try refusal.r(.rstAck, seq: 0, ack: 1, win: 0, "ESTABLISHED-reply gone")
            #expect(refusal.events == ["NEW", "DESTROY"], "C4")
            let ended = refusal.last?.live.events?.first?.entry
            #expect(ended?.tcp?.state == "CLOSE" && ended?.packets == [1, 1], "C4")

            var error = try TwoArmExchange(family)
            try error.o(.syn, "NEW SYN_SENT U")
            let (o, r) = (try error.address(of: .o), try error.address(of: .r))
            let quoted = PacketBuilder(family, from: o, to: r).tcp(from: 1000, to: 80, flags: .syn)
            let message = PacketBuilder(family, from: r, to: o).icmpError(
                type: family == .ipv4 ? 3 : 1, code: family == .ipv4 ? 1 : 0, about: quoted)
            try error.send(message, called: "R unreachable", "RELATED-reply SYN_SENT U")
            #expect(error.events == ["NEW"], "C5: a RELATED error is no event")
        }
    }
}
