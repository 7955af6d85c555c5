import Testing
import Wire

@testable import Conntrack

/// The summary of a packet's chunks is exact: no association can tell it from the chunks.
@Suite("SCTP chunk walk")
struct SCTPChunkWalkTests {
    /// Types that may stand in any place of a packet, the T flag of ABORT above the type's bits.
    private static let anywhere: [UInt16] = [4, 5, 6, 0x106, 7, 8, 9]
    private static let first: [UInt16] = [10, 11]

    /// Below `bound`.
    private static func draw(_ dice: inout Dice, _ bound: Int) -> Int {
        Int(dice.below(UInt32(bound)))
    }

    private static func word(_ dice: inout Dice, count: Int) -> [UInt16] {
        // Few kinds at a time: long words of two or three find what a mixture hides.
        let letters = (0..<(1 + draw(&dice, 5))).map { _ in anywhere[draw(&dice, anywhere.count)] }
        var word = (0..<count).map { _ in letters[draw(&dice, letters.count)] }
        if draw(&dice, 4) == 0 { word[0] = first[draw(&dice, 2)] }
        return word
    }

    private static func walk(_ word: [UInt16], tag: UInt32) -> SCTPContent {
        var walk = SCTPChunkWalk(verificationTag: tag)
        for letter in word {
            walk.append(type: UInt8(letter & 0xff), flags: UInt8(letter >> 8), lengthField: 4)
        }
        return walk.content
    }

    /// The same packet with every chunk a step: possible up to sixteen.
    private static func unabridged(_ word: [UInt16], tag: UInt32) -> SCTPContent {
        var content = SCTPContent()
        content.verificationTag = tag
        for letter in word {
            guard let kind = SCTPChunkKind(type: UInt8(letter & 0xff)) else { continue }
            content.present.insert(SCTPChunkSet(kind))
            content.append(SCTPStep(kind, reflectsTag: letter >> 8 & 1 == 1))
        }
        return content
    }

    private static func record(_ dice: inout Dice, _ tags: [UInt32]) -> SCTPRecord {
        var record = SCTPRecord(
            tagOriginal: tags[draw(&dice, tags.count)], tagReply: tags[draw(&dice, tags.count)],
            state: SCTPState(rawValue: UInt8(1 + draw(&dice, 8))) ?? .closed)
        if draw(&dice, 2) == 0 { record.strayHeartbeat = draw(&dice, 2) == 0 ? .original : .reply }
        return record
    }

    @Test(
        "every association takes a packet as it takes the packet's summary",
        arguments: UInt64(0)..<200)
    func isExact(seed: UInt64) {
        var dice = Dice(seed: seed)
        let settings = TrackerSettings(Sysctl(), .reference, .linux618)
        let tags: [UInt32] = [0, 5, 6, 7]
        for _ in 0..<300 {
            let word = Self.word(&dice, count: 1 + Self.draw(&dice, 16))
            let isNew = Self.draw(&dice, 5) == 0
            let direction: Direction = isNew || Self.draw(&dice, 2) == 0 ? .original : .reply
            let before = isNew ? SCTPRecord() : Self.record(&dice, tags)
            var packet = Packet(
                tuple: Tuple(
                    .ipv4, IPProtocol.sctp, source: Address(ipv4: 1), 1,
                    destination: Address(ipv4: 2), 2), networkByteCount: 100,
                transportByteCount: 80)
            let tag = tags[Self.draw(&dice, tags.count)]
            var records = [before, before]
            packet.sctp = Self.walk(word, tag: tag)
            let result = SCTPTracker.update(
                &records[0], packet, direction, isNew: isNew, settings: settings)
            packet.sctp = Self.unabridged(word, tag: tag)
            let wanted = SCTPTracker.update(
                &records[1], packet, direction, isNew: isNew, settings: settings)
            #expect(
                result.action == wanted.action && result.timeout == wanted.timeout
                    && result.setsAssured == wanted.setsAssured
                    && result.changesProtocolState == wanted.changesProtocolState
                    && result.remark == wanted.remark && records[0] == records[1],
                "seed \(seed): \(word) on \(before)")
        }
    }

    @Test("no packet needs more than twelve steps", arguments: UInt64(0)..<100)
    func staysShort(seed: UInt64) {
        var dice = Dice(seed: seed)
        var longest = 0
        for _ in 0..<30 {
            var word: [UInt16] = []
            for _ in 0..<8 { word += Self.word(&dice, count: 30) }
            let content = Self.walk(Self.first + word, tag: 1)
            longest = max(longest, Int(content.stepCount))
            #expect(content.step(Int(content.stepCount)) == nil)
        }
        #expect(longest <= 12, "seed \(seed)")
    }

    @Test("the longest there is: found by searching all packets")
    func longest() {
        // COOKIE ECHO, SHUTDOWN ACK, SHUTDOWN, SHUTDOWN ACK, ERROR, ABORT, ABORT with T, and what
        // HEARTBEATs and their answers may still change.
        let word: [UInt16] = [10, 8, 7, 8, 9, 6, 0x106, 4, 4, 5, 0x106, 5]
        #expect(Self.walk(word, tag: 1).stepCount == 12)
        #expect(Self.walk(word + word.dropFirst() + word.dropFirst(), tag: 1).stepCount == 12)
    }

    @Test("DATA and SACK are no steps, however many")
    func leavesOutData() {
        var walk = SCTPChunkWalk(verificationTag: 1)
        for index in 0..<16_000 { walk.append(type: UInt8(index % 2 * 3), lengthField: 4) }
        #expect(walk.content.stepCount == 0)
        #expect(walk.content.present == [.data, .other])
        #expect(walk.content.defect == nil)
    }

    @Test("a packet stays a flat value: what SCTP adds to it")
    func isSmall() { #expect(MemoryLayout<SCTPContent>.size <= 32) }
}
