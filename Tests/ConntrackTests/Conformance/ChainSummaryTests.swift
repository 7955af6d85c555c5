import Testing

@testable import Conntrack

/// The eight bytes at a chain's beginning: what they may claim, and what they must not.
@Suite struct ChainSummaryTests {
    private static let longLife: UInt32 = 100_000

    /// A head with one link for each hash.
    private static func head(_ hashes: some Sequence<UInt32>, at now: Tick = Tick(0)) -> BucketHead
    {
        var head = BucketHead()
        head.first = Link(Slot(0), .original)
        for hash in hashes {
            head.noteInsertion(hash: hash, deadline: now + longLife, at: now)
        }
        return head
    }

    @Test("one link leaves eleven of twelve other hashes impossible")
    func tagsTellLinksApart() {
        var dice = Dice(seed: 1)
        let trials = 12_000
        var impossible = 0
        for _ in 0..<trials {
            let hash = UInt32(truncatingIfNeeded: dice.next())
            let other = UInt32(truncatingIfNeeded: dice.next())
            let head = Self.head([hash])
            #expect(!head.cannotHold(hash), "a hash that is there is always possible")
            if head.cannotHold(other) { impossible += 1 }
        }
        #expect(abs(impossible - trials * 11 / 12) < 200)
    }

    @Test("the bits that choose the bucket say nothing more inside it")
    func tagsUseOtherBits() {
        // With 1024 buckets the ten highest bits are the same all over a chain.
        let head = Self.head([0x1234_5678])
        #expect((UInt32(0)..<12).filter { head.cannotHold(0x1200_0000 + $0 * 5462) }.count == 11)
    }

    @Test("an empty chain can hold nothing and has nothing expired")
    func empty() {
        let head = BucketHead()
        #expect(head.cannotHold(7))
        #expect(!head.mayHaveExpired(at: Tick(123)))
        #expect(head.length == 0)
    }

    @Test("lengths are exact below 255 and a lower bound from there on")
    func counts() {
        var head = Self.head([])
        for length in UInt32(1)...300 {
            head.noteInsertion(hash: length, deadline: Tick(Self.longLife), at: Tick(0))
            #expect(head.length == min(length, 255))
            #expect(head.isLengthExact == (length < 255))
        }
        for _ in 0..<300 { head.noteRemoval() }
        #expect(head.length == 255 && !head.isLengthExact, "only a walk can tell")
    }

    @Test(
        "no deadline passes unnoticed, wherever the tick counter stands",
        arguments: [
            UInt32(0), 1, 255, 256, 0x000f_ffff, 0x7fff_ff00, 0xffff_f000, 0xffff_ffff,
        ])
    func noticesDeadlines(start: UInt32) {
        for life: UInt32 in [0, 1, 2, 250, 255, 256, 257, 750, 2499, 2500, 2501, 7500, 30_000] {
            var head = BucketHead()
            head.first = Link(Slot(0), .original)
            let now = Tick(start)
            head.noteInsertion(hash: 1, deadline: now + life, at: now)
            // From its end on, as long as the collector's cycles keep bounds fresh.
            for late: UInt32 in [0, 1, 100, 255, 256, 10_000, 400_000] {
                #expect(head.mayHaveExpired(at: now + life + late), "life \(life), \(late) late")
            }
        }
    }

    @Test("a bound nearly as old as the collector allows still counts as passed")
    func agesWell() {
        var head = BucketHead()
        head.first = Link(Slot(0), .original)
        head.noteInsertion(hash: 1, deadline: Tick(10), at: Tick(0))
        #expect(head.mayHaveExpired(at: Tick(ExpiryBound.unit * 2000 - 1)))
        var collector = Collector(.reference)
        #expect(collector.keepsSummariesFresh(at: Tick(ExpiryBound.unit * 2000 - 1)))
        #expect(!collector.keepsSummariesFresh(at: Tick(ExpiryBound.unit * 2000)))
        collector.beginCycle(at: Tick(1000))
        collector.beginCycle(at: Tick(2000))
        #expect(collector.keepsSummariesFresh(at: Tick(1000 + ExpiryBound.unit * 2000 - 1)))
        #expect(!collector.keepsSummariesFresh(at: Tick(1000 + ExpiryBound.unit * 2000)))
    }

    @Test("long lives spare the walk until ten seconds are over")
    func sparesWalks() {
        let head = Self.head([1, 2, 3])
        #expect(!head.mayHaveExpired(at: Tick(0)))
        #expect(!head.mayHaveExpired(at: Tick(2047)))
        #expect(head.mayHaveExpired(at: Tick(ExpiryBound.horizon)))
    }

    @Test("a deadline that comes nearer is noticed")
    func noticesShortening() {
        var head = Self.head([1, 2, 3])
        head.noteEarlier(Tick(300), at: Tick(0))
        #expect(!head.mayHaveExpired(at: Tick(255)))
        #expect(head.mayHaveExpired(at: Tick(300)))
        #expect(head.length == 3 && !head.cannotHold(1), "and nothing else changes")
    }
}
