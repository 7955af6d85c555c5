import Testing
import Wire

@Suite("Fragments as the kernel treats them")
struct RecordedFragmentTests {
    @Test(
        "Every recorded sequence comes out as it did of the kernel",
        arguments: ["fragments-ipv4", "fragments-ipv6"])
    func recorded(_ name: String) throws {
        let recorded = try RecordedFragments(name)
        #expect(recorded.cases.count >= 200)
        for (index, example) in recorded.cases.enumerated() {
            var reassembler = Reassembler()
            for (number, step) in example.steps.enumerated() {
                let found = try Self.forward(step.packet, example, &reassembler)
                #expect(found == step.results, "case \(index), fragment \(number)")
            }
        }
    }

    /// What leaves a router that reassembles `packet`, in the words of the recording.
    static func forward(
        _ packet: [UInt8], _ example: RecordedFragments.Case, _ reassembler: inout Reassembler
    ) throws -> [String] {
        let outcome: FragmentOutcome
        switch example.family {
        case .ipv4:
            outcome = reassembler.take(
                ipv4: packet.span, try IPv4Header(parsing: packet.span), at: 0)
        case .ipv6:
            _ = try IPv6Header(parsing: packet.span)
            outcome = reassembler.take(
                ipv6: packet.span, IPv6Chain(walking: packet.span), at: 0)
        }
        switch outcome {
        case .held, .dropped:
            return []
        case .passedOn:
            return packet.count <= example.mtu ? ["pass"] : ["big \(example.mtu)"]
        case .whole(var whole):
            decrementTimeToLive(&whole.bytes, example.family)
            let split = Fragmenter.split(
                whole.bytes.span, example.family, mtu: example.mtu, origin: whole.origin,
                identification: 0)
            switch split {
            case .whole: return [describe(whole.bytes)]
            case .fragments(let fragments): return fragments.map(describe)
            case .tooBig(let mtu): return ["big \(mtu)"]
            }
        }
    }

    static func describe(_ packet: [UInt8]) -> String {
        "out \(packet.count) \(RecordedFragments.hash(packet))"
    }

    static func decrementTimeToLive(_ packet: inout [UInt8], _ family: Family) {
        guard family == .ipv4 else {
            packet[7] -= 1
            return
        }
        let old = packet.span.bigEndianUInt16(at: 8)
        packet[8] -= 1
        var change = ChecksumChange()
        change.replace(old, with: packet.span.bigEndianUInt16(at: 8))
        packet.setBigEndian(change.applied(to: packet.span.bigEndianUInt16(at: 10)), at: 10)
    }
}

@Suite("Reassembly")
struct ReassemblyTests {
    static let second: UInt64 = 1_000_000_000

    /// A fragment of a datagram whose data byte i is i.
    static func fragment(
        _ offset: Int, _ count: Int, more: Bool, of family: Family = .ipv4,
        identification: UInt32 = 1, protocolNumber: UInt8 = 200, trafficClass: UInt8 = 0,
        dontFragment: Bool = false, source: UInt32 = 0x0a00_0002
    ) -> [UInt8] {
        var builder = RecordedFragments.builder(family)
        let data = (0..<count).map { UInt8(truncatingIfNeeded: offset + $0) }
        builder.typeOfService = trafficClass
        switch family {
        case .ipv6:
            builder.extensions = [
                .fragment(
                    IPv6FragmentHeader(
                        nextHeader: 0, offset: offset, moreFragments: more,
                        identification: identification))
            ]
            return builder.packet(carrying: data, as: protocolNumber)
        case .ipv4:
            builder.source = Address(ipv4: source)
            builder.identification = UInt16(truncatingIfNeeded: identification)
            builder.dontFragment = dontFragment
            var packet = builder.packet(carrying: data, as: protocolNumber)
            packet[6] |= (more ? 0x20 : 0) | UInt8(offset >> 11)
            packet[7] = UInt8(truncatingIfNeeded: offset / 8)
            IPv4Header.setChecksum(in: &packet)
            return packet
        }
    }

    static func take(
        _ packet: [UInt8], _ reassembler: inout Reassembler, at now: UInt64 = 0
    ) throws -> FragmentOutcome {
        if packet[0] >> 4 == 4 {
            return reassembler.take(
                ipv4: packet.span, try IPv4Header(parsing: packet.span), at: now)
        }
        return reassembler.take(ipv6: packet.span, IPv6Chain(walking: packet.span), at: now)
    }

    static func isWhole(_ outcome: FragmentOutcome) -> Bool {
        if case .whole = outcome { return true }
        return false
    }

    @Test("The whole remembers how it came in", arguments: Family.allCases)
    func origin(_ family: Family) throws {
        var reassembler = Reassembler()
        let later = Self.fragment(480, 1000, more: true, of: family)
        let last = Self.fragment(1480, 300, more: false, of: family)
        let first = Self.fragment(0, 480, more: true, of: family)
        #expect(try Self.take(later, &reassembler) == .held)
        #expect(try Self.take(last, &reassembler) == .held)
        guard case .whole(let whole) = try Self.take(first, &reassembler) else {
            Issue.record("the datagram did not become whole")
            return
        }
        let head = family == .ipv4 ? 20 : 40
        #expect(whole.bytes.count == head + 1780)
        #expect(whole.origin.pieceEnds == [head + 480, head + 1480, head + 1780])
        #expect(whole.origin.largestByteCount == (family == .ipv4 ? 1020 : 1048))
        #expect(!whole.origin.dontFragment)
        #expect(
            whole.bytes[head...].elementsEqual((0..<1780).map { UInt8(truncatingIfNeeded: $0) }))
        if family == .ipv4 {
            let header = try IPv4Header(parsing: whole.bytes.span)
            #expect(!header.isFragment && header.totalByteCount == whole.bytes.count)
        } else {
            let chain = IPv6Chain(walking: whole.bytes.span)
            #expect(chain.fragment == nil && chain.protocolNumber == 200)
        }
        #expect(reassembler.waitingCount == 0)
    }

    @Test("The wait starts with the first fragment and is not renewed", arguments: Family.allCases)
    func timeout(_ family: Family) throws {
        let wait = family == .ipv4 ? 30 * Self.second : 60 * Self.second
        for (late, isInTime) in [(wait - 1, true), (wait, false)] {
            var reassembler = Reassembler()
            _ = try Self.take(Self.fragment(0, 8, more: true, of: family), &reassembler, at: 0)
            _ = try Self.take(
                Self.fragment(8, 8, more: true, of: family), &reassembler, at: wait / 2)
            let outcome = try Self.take(
                Self.fragment(16, 8, more: false, of: family), &reassembler, at: late)
            #expect(Self.isWhole(outcome) == isInTime)
            let counters =
                family == .ipv4 ? reassembler.ipv4Counters : reassembler.ipv6Counters
            #expect(counters.timeouts == (isInTime ? 0 : 1))
            #expect(counters.reassembled == (isInTime ? 1 : 0))
        }
    }

    @Test("What timed out is forgotten without a further fragment, also if time once went back")
    func expire() throws {
        var reassembler = Reassembler()
        for identification in UInt32(0)..<200 {
            let packet = Self.fragment(0, 8, more: true, identification: identification)
            _ = try Self.take(packet, &reassembler, at: UInt64(identification) % 7)
        }
        _ = try Self.take(Self.fragment(0, 8, more: true, of: .ipv6), &reassembler)
        #expect(reassembler.waitingCount == 201)
        reassembler.expire(at: 6 + 30 * Self.second)
        #expect(reassembler.waitingCount == 1)
        reassembler.expire(at: 60 * Self.second)
        #expect(reassembler.waitingCount == 0)
    }

    /// Fragments of the same source between two of a datagram, and whether it survives them.
    ///
    /// Observed on 6.18 with `ipfrag_max_dist` at its default of 64.
    @Test(
        "Too many fragments of one source in between",
        arguments: [(62, true), (63, true), (64, false)])
    func distance(_ others: Int, _ survives: Bool) throws {
        var reassembler = Reassembler()
        _ = try Self.take(Self.fragment(0, 800, more: true), &reassembler)
        for index in 0..<others {
            let packet = Self.fragment(0, 800, more: true, identification: 2 + UInt32(index))
            _ = try Self.take(packet, &reassembler)
        }
        let outcome = try Self.take(Self.fragment(800, 100, more: false), &reassembler)
        #expect(Self.isWhole(outcome) == survives)
        // It started anew with the last fragment, so the first one completes it.
        if !survives {
            #expect(reassembler.ipv4Counters.tooFar == 1)
            #expect(Self.isWhole(try Self.take(Self.fragment(0, 800, more: true), &reassembler)))
        }
    }

    @Test("Fragments of other sources, and of the datagram itself, do not make it far")
    func distanceOfOthers() throws {
        var reassembler = Reassembler()
        _ = try Self.take(Self.fragment(0, 800, more: true), &reassembler)
        for index in UInt32(0)..<200 {
            let other = Self.fragment(
                0, 800, more: true, identification: index, source: 0x0a00_0009)
            _ = try Self.take(other, &reassembler)
            if index % 50 == 0 {
                let mine = Self.fragment(0, 800, more: true, identification: 7000 + index)
                for _ in 0..<60 { _ = try Self.take(mine, &reassembler) }
                let again = try Self.take(Self.fragment(0, 800, more: true), &reassembler)
                #expect(again == .dropped(.duplicate))
            }
        }
        #expect(Self.isWhole(try Self.take(Self.fragment(800, 100, more: false), &reassembler)))
    }

    @Test("Waiting fragments fill the kernel's memory threshold with as many datagrams as there")
    func memory() throws {
        var limits = FragmentLimits()
        limits.maximumDistance = 0
        var reassembler = Reassembler(limits: limits)
        var identification: UInt32 = 0
        // On 6.18 these eight, then 8-byte fragments, stopped at 4052 datagrams.
        for count in [8, 200, 800, 1480] {
            for pieces in 1...2 {
                identification += 1
                for piece in 0..<pieces {
                    let packet = Self.fragment(
                        piece * count, count, more: true, identification: identification)
                    #expect(try Self.take(packet, &reassembler) == .held)
                }
            }
        }
        for _ in 0..<6000 {
            identification += 1
            let packet = Self.fragment(0, 8, more: true, identification: identification)
            _ = try Self.take(packet, &reassembler)
        }
        #expect(reassembler.waitingCount == 4052)
        #expect(reassembler.ipv4Counters.refused == 6008 - 4052)
        // Above the threshold not even the missing fragment of a waiting datagram is taken.
        let missing = Self.fragment(8, 8, more: false, identification: 100)
        #expect(try Self.take(missing, &reassembler) == .dropped(.noMemory))
        // Time makes room again.
        reassembler.expire(at: 30 * Self.second)
        #expect(reassembler.waitingCount == 0)
        let late = Self.fragment(0, 8, more: true, identification: 1)
        #expect(try Self.take(late, &reassembler, at: 30 * Self.second) == .held)
    }

    @Test("Fragments of different datagrams are never mixed")
    func keys() throws {
        let first = Self.fragment(0, 800, more: true)
        let others = [
            Self.fragment(800, 100, more: false, identification: 2),
            Self.fragment(800, 100, more: false, protocolNumber: 6),
            Self.fragment(800, 100, more: false, source: 0x0a00_0003),
        ]
        for other in others {
            var reassembler = Reassembler()
            _ = try Self.take(first, &reassembler)
            #expect(try Self.take(other, &reassembler) == .held)
            #expect(reassembler.waitingCount == 2)
        }
        // IPv6 leaves the protocol out: the first fragment's next header counts.
        var reassembler = Reassembler()
        _ = try Self.take(
            Self.fragment(800, 100, more: false, of: .ipv6, protocolNumber: 6), &reassembler)
        let outcome = try Self.take(Self.fragment(0, 800, more: true, of: .ipv6), &reassembler)
        guard case .whole(let whole) = outcome else {
            Issue.record("the datagram did not become whole")
            return
        }
        #expect(IPv6Chain(walking: whole.bytes.span).protocolNumber == 200)
    }

    /// ECN of two fragments, and of the whole, `nil` where there is none (observed on 6.18).
    static let ecnRows: [(UInt8, UInt8, UInt8?)] = [
        (0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3), (1, 2, 1), (2, 1, 2), (1, 3, 3), (2, 3, 3),
        (3, 1, 3), (0, 1, nil), (0, 2, nil), (0, 3, nil), (3, 0, nil), (2, 0, nil),
    ]

    @Test("ECN of the whole", arguments: ecnRows, Family.allCases)
    func ecn(_ row: (UInt8, UInt8, UInt8?), _ family: Family) throws {
        var reassembler = Reassembler()
        _ = try Self.take(
            Self.fragment(0, 800, more: true, of: family, trafficClass: 0x10 | row.0), &reassembler)
        let outcome = try Self.take(
            Self.fragment(800, 100, more: false, of: family, trafficClass: 0x20 | row.1),
            &reassembler)
        guard case .whole(let whole) = outcome else {
            #expect(row.2 == nil && outcome == .dropped(.notReassembled))
            return
        }
        let found =
            family == .ipv4
            ? try IPv4Header(parsing: whole.bytes.span).typeOfService
            : try IPv6Header(parsing: whole.bytes.span).trafficClass
        #expect(found == row.2.map { 0x10 | $0 })
    }

    @Test("A datagram of 65535 bytes is put together, a longer one is not")
    func longest() throws {
        for (count, isWhole) in [(65_515, true), (65_516, false)] {
            var reassembler = Reassembler()
            var outcome = FragmentOutcome.held
            for offset in stride(from: 0, to: count, by: 1480) {
                let length = min(1480, count - offset)
                outcome = try Self.take(
                    Self.fragment(offset, length, more: offset + length < count), &reassembler)
            }
            #expect(Self.isWhole(outcome) == isWhole)
            #expect(reassembler.waitingCount == 0)
        }
    }

    @Test("A first IPv6 fragment without its whole transport header goes on as it is")
    func cutTransport() throws {
        let rows: [(UInt8, Int, Bool)] = [
            (6, 16, false), (6, 24, true), (17, 0, false), (17, 8, true), (58, 8, true),
            (132, 8, true), (200, 0, false), (200, 8, true), (0, 8, false), (60, 8, false),
        ]
        for (number, count, isTaken) in rows {
            var reassembler = Reassembler()
            var packet = Self.fragment(0, count, more: true, of: .ipv6, protocolNumber: number)
            // As an options header these eight bytes are whole, and announce UDP.
            if number == 0 || number == 60 { packet.replaceSubrange(48..<50, with: [17, 0]) }
            let outcome = try Self.take(packet, &reassembler)
            #expect(outcome == (isTaken ? .held : .passedOn), "\(number), \(count) bytes")
        }
    }

    @Test("Packets that are no fragments are passed on")
    func noFragments() throws {
        var reassembler = Reassembler()
        for packet in CaptureForge.packets {
            #expect(try Self.take(packet, &reassembler) == .passedOn)
        }
        #expect(reassembler.ipv4Counters == FragmentCounters())
    }

    @Test(
        "Cutting a packet up and putting it together gives the packet", arguments: UInt64(0)..<100)
    func roundTrip(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for family in Family.allCases {
            var builder = PacketBuilderTests.builder(family, &dice)
            builder.dontFragment = false
            let packet = builder.udp(from: 1, to: 2, payload: dice.bytes(1500 + dice.below(6000)))
            let mtu = family == .ipv4 ? 68 + dice.below(1400) : 1280 + dice.below(200)
            // IPv6 cuts only what came in pieces, so say it did.
            let origin = FragmentOrigin(
                pieceEnds: [], largestByteCount: mtu, dontFragment: false)
            let outcome = Fragmenter.split(
                packet.span, family, mtu: mtu, origin: family == .ipv4 ? nil : origin,
                identification: 77)
            guard case .fragments(var fragments) = outcome else {
                Issue.record("seed \(seed): \(outcome)")
                continue
            }
            #expect(fragments.allSatisfy { $0.count <= mtu }, "seed \(seed)")
            fragments.shuffle(using: &dice)
            var reassembler = Reassembler()
            var last = FragmentOutcome.held
            for fragment in fragments { last = try Self.take(fragment, &reassembler) }
            guard case .whole(let whole) = last else {
                Issue.record("seed \(seed): \(last)")
                continue
            }
            #expect(whole.bytes == packet, "seed \(seed)")
        }
    }

    @Test("A link too narrow for any data takes nothing")
    func narrowLink() {
        let packet = IPHeaderTests.four.udp(
            from: 1, to: 2, payload: [UInt8](repeating: 0, count: 80))
        for mtu in [0, 20, 27] {
            let outcome = Fragmenter.split(
                packet.span, .ipv4, mtu: mtu, origin: nil, identification: 0)
            #expect(outcome == .tooBig(mtu: mtu))
        }
    }
}
