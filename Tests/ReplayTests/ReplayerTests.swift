import Captures
import Conntrack
import Foundation
import Replay
import Report
import Testing
import Wire

/// A sink that keeps everything.
struct Keeper: ReplaySink {
    var outcomes: [PacketOutcome] = []
    var events: [ConntrackEvent] = []
    /// After how many outcomes there is no more room.
    var room = Int.max

    mutating func take(_ outcome: PacketOutcome) { outcomes.append(outcome) }
    mutating func take(_ event: ConntrackEvent, _ base: TimeBase) { events.append(event) }
    var isClosed: Bool { outcomes.count >= room }
}

/// Packets of a capture through one node.
@Suite struct ReplayerTests {
    static let client = Address(ipv4: 0x0a00_0002)
    static let server = Address(ipv4: 0x0a00_0102)

    static func udp(_ port: UInt16) -> [UInt8] {
        PacketBuilder(.ipv4, from: client, to: server).udp(from: port, to: 53, payload: [1, 2, 3])
    }

    /// A machine with two interfaces, tracking on.
    static let machine: NodeConfiguration = {
        var configuration = NodeConfiguration()
        configuration.tracking = .always
        configuration.interfaces = [
            Interface(
                name: "lan", addresses: [Prefix(.ipv4, Address(ipv4: 0x0a00_0001), length: 24)]),
            Interface(
                name: "wan", addresses: [Prefix(.ipv4, Address(ipv4: 0x0a00_0101), length: 24)],
                isDefault: true),
        ]
        return configuration
    }()

    /// Replays frames; each is `(nanoseconds, bytes)`.
    static func replay(
        _ bytes: [UInt8], wants: ReplayWants = .outcomes, limit: Int? = nil, room: Int = .max
    ) throws -> (keeper: Keeper, tally: ReplayTally, notes: CaptureNotes, clock: ReplayClock) {
        var reader = try CaptureReader(ByteArraySource(bytes))
        var replayer = Replayer(machine, wants: wants)
        var keeper = Keeper(room: room)
        var notes = CaptureNotes()
        try replayer.replay(&reader, limit: limit, &notes, &keeper)
        return (keeper, replayer.tally, notes, replayer.clock)
    }

    static func pcap(_ packets: [(nanoseconds: UInt64, bytes: [UInt8])]) -> [UInt8] {
        var writer = CaptureWriter()
        for packet in packets {
            writer.append(packet.bytes.span, timestamp: Trace.epoch + packet.nanoseconds)
        }
        return writer.take()
    }

    // MARK: Time

    @Test("time counts from the first packet")
    func countsTime() throws {
        let result = try Self.replay(
            Self.pcap([(5, Self.udp(1)), (7, Self.udp(1)), (1_000_000_005, Self.udp(1))]))
        #expect(
            result.keeper.outcomes.map(\.time) == ["0.000000000", "0.000000002", "1.000000000"])
        #expect(result.notes.sentences(result.clock).isEmpty)
    }

    @Test("a packet stamped earlier arrives at once, and that is said")
    func neverGoesBack() throws {
        let result = try Self.replay(
            Self.pcap([
                (0, Self.udp(1)), (500, Self.udp(1)), (100, Self.udp(1)), (600, Self.udp(1)),
            ]))
        #expect(
            result.keeper.outcomes.map(\.time) == [
                "0.000000000", "0.000000500", "0.000000500", "0.000000600",
            ])
        #expect(result.clock.backwardCount == 1)
        #expect(result.notes.sentences(result.clock).count == 1)
    }

    @Test("a gap of years counts as 30 days")
    func shortensGaps() {
        var clock = ReplayClock()
        #expect(clock.advance(to: 0) == .start)
        #expect(clock.advance(to: Trace.epoch) == .start + ReplayClock.longestGap)
        #expect(clock.advance(to: Trace.epoch + 5).nanoseconds == 30 * 86_400_000_000_000 + 5)
        #expect(
            clock.advance(to: .max) == .start + ReplayClock.longestGap
                + ReplayClock.longestGap + Interval(nanoseconds: 5))
        #expect(clock.shortenedCount == 2)
    }

    @Test("what the collector did while no packet came stands before the next one")
    func tellsInterludes() throws {
        let result = try Self.replay(
            Self.pcap([(0, Self.udp(1)), (100_000_000_000, Self.udp(2))]))
        let before = result.keeper.outcomes[1].before
        #expect(before?.events?.map(\.type) == ["DESTROY"])
        #expect(before?.counters?["count"] == 0)
        #expect(result.keeper.outcomes[1].counters?["count"] == 1)
        #expect(result.keeper.outcomes[0].before == nil)
    }

    // MARK: What is told

    @Test("nothing is told that nobody wants, and it makes no difference to the decisions")
    func tellsWhatIsWanted() throws {
        let bytes = Self.pcap([(0, Self.udp(1)), (1, Self.udp(2)), (2, Self.udp(1))])
        let silent = try Self.replay(bytes, wants: [])
        #expect(silent.keeper.outcomes.isEmpty)
        #expect(silent.keeper.events.isEmpty)
        let told = try Self.replay(bytes, wants: [.outcomes, .events])
        #expect(told.keeper.outcomes.count == 3)
        #expect(told.keeper.events.map(\.kind) == [.new, .new])
        #expect(silent.tally == told.tally)
        #expect(silent.tally.forwarded == 3)
    }

    @Test("a sink that is full ends the replay; so does a limit")
    func stops() throws {
        let bytes = Self.pcap((0..<9).map { ($0, Self.udp(UInt16($0))) })
        #expect(try Self.replay(bytes, room: 4).tally.packets == 4)
        #expect(try Self.replay(bytes, limit: 3).tally.packets == 3)
        #expect(try Self.replay(bytes, limit: 0).tally.packets == 0)
    }

    // MARK: Captures

    @Test("a capture cut off in a record: everything before it is taken, then the place is named")
    func takesWhatIsWhole() throws {
        let whole = Self.pcap([(0, Self.udp(1)), (1, Self.udp(2))])
        for cut in 1...46 {
            var reader = try CaptureReader(ByteArraySource(whole.dropLast(cut).map { $0 }))
            var replayer = Replayer(Self.machine, wants: [])
            var keeper = Keeper()
            var notes = CaptureNotes()
            var offset: UInt64?
            do {
                try replayer.replay(&reader, &notes, &keeper)
            } catch {
                offset = error.offset
            }
            // One record of 16 + 31 bytes behind the header of 24.
            #expect(offset == 71, "cut \(cut)")
            #expect(replayer.tally.packets == 1, "cut \(cut)")
        }
    }

    @Test("frames without an IP packet are passed over, and keep their numbers")
    func passesOver() throws {
        let capture = Pcapng(linkType: 1, names: [nil]).bytes([
            (
                0,
                [UInt8](repeating: 0xff, count: 12) + [0x08, 0x06]
                    + [UInt8](repeating: 0, count: 28)
            ),
            (0, [UInt8](repeating: 0xff, count: 12) + [0x08, 0x00] + Self.udp(1)),
        ])
        let result = try Self.replay(capture)
        #expect(result.keeper.outcomes.map(\.packet) == [1])
        #expect(result.notes.framesWithoutIP == 1)
        #expect(
            result.notes.sentences(result.clock) == ["passed over 1 frame without an IP packet"])
    }

    @Test("an interface of the capture counts where the node has one of that name")
    func knowsInterfaces() throws {
        // The source address belongs to lan; the capture says otherwise, or nothing of use.
        let capture = Pcapng(linkType: 101, names: ["wan", "eth7", nil]).bytes([
            (0, Self.udp(1)), (1, Self.udp(2)), (2, Self.udp(3)), (0, Self.udp(4)),
        ])
        let result = try Self.replay(capture)
        #expect(result.keeper.outcomes.map(\.ingress) == ["wan", "lan", "lan", "wan"])
    }

    @Test("a packet the capture cut is filled up to its length, and that is said")
    func fillsCutPackets() throws {
        var writer = CaptureWriter(snapLength: 28)
        writer.append(Self.udp(1).span, timestamp: Trace.epoch)
        let result = try Self.replay(writer.take())
        #expect(result.notes.cutPackets == 1)
        #expect(result.tally.packets == 1)
        // Not malformed: its length is right again. Its checksum is not.
        #expect(result.keeper.outcomes.first?.reason == nil)
        #expect(result.keeper.outcomes.first?.invalidReasons == ["nf_ct_proto_17: bad checksum"])
    }

    @Test("a record that claims a huge packet does not make one")
    func limitsFilling() throws {
        var capture = Self.pcap([(0, Self.udp(1))])
        // The original length of the first record.
        for (index, byte) in [0xff, 0xff, 0xff, 0x7f].enumerated() {
            capture[24 + 12 + index] = UInt8(byte)
        }
        let result = try Self.replay(capture)
        #expect(result.tally.packets == 1)
    }

    // MARK: What ships

    @Test("the captures that ship are what their code makes", arguments: Trace.all.map(\.name))
    func capturesAreCurrent(_ name: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "scenarios/captures/\(name).pcap")
        let trace = try #require(Trace.all.first { $0.name == name })
        #expect(try Array(Data(contentsOf: file)) == trace.pcap, "make captures")
    }

    @Test("the last line has the table, the counters, the peak and the log")
    func summarises() throws {
        var reader = try CaptureReader(
            ByteArraySource(Self.pcap([(0, Self.udp(1)), (1, Self.udp(2))])))
        var replayer = Replayer(Self.machine, wants: [])
        var keeper = Keeper()
        var notes = CaptureNotes()
        try replayer.replay(&reader, &notes, &keeper)
        let summary = replayer.summary(version: "v")
        #expect(summary.count == 2)
        #expect(summary.peak == 2)
        #expect(summary.seed == 1)
        #expect(summary.version == "v")
        #expect(replayer.list().count == 2)
    }
}

/// A small pcapng file.
struct Pcapng {
    var linkType: UInt16
    var names: [String?]

    /// Packets are `(interface, frame)`.
    func bytes(_ packets: [(interface: UInt32, frame: [UInt8])]) -> [UInt8] {
        var file = block(
            0x0a0d_0d0a, word(0x1a2b_3c4d) + [1, 0, 0, 0] + [UInt8](repeating: 0xff, count: 8))
        for name in names {
            var body = [UInt8(linkType & 0xff), UInt8(linkType >> 8), 0, 0] + word(0)
            if let name {
                body += [2, 0, UInt8(name.utf8.count), 0] + padded(Array(name.utf8)) + word(0)
            }
            file += block(1, body)
        }
        for (index, packet) in packets.enumerated() {
            let count = UInt32(packet.frame.count)
            file += block(
                6,
                word(packet.interface) + word(0) + word(UInt32(index)) + word(count) + word(count)
                    + padded(packet.frame))
        }
        return file
    }

    private func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
        let length = word(UInt32(body.count + 12))
        return word(type) + length + body + length
    }

    private func word(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    private func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }
}
