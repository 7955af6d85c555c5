import Testing

@testable import Conntrack

/// The sixteen bytes at a chain's beginning: what they may claim, and what they must not.
@Suite struct ChainSummaryTests {
    private static let longLife: UInt32 = 100_000

    /// A head with one link for each hash, the last one first.
    private static func head(_ hashes: some Sequence<UInt32>, at now: Tick = Tick(0)) -> BucketHead
    {
        var head = BucketHead()
        for (index, hash) in hashes.enumerated() {
            head.push(
                Link(Slot(UInt32(index)), .original), hash: hash, deadline: now + longLife, at: now)
        }
        return head
    }

    @Test("a chain of N links leaves nearly all other hashes impossible", arguments: [1, 2, 3, 6])
    func printsTellLinksApart(length: Int) {
        var dice = Dice(seed: 1)
        let trials = 12_000
        var possible = 0
        for _ in 0..<trials {
            let hashes = (0..<length).map { _ in UInt32(truncatingIfNeeded: dice.next()) }
            let head = Self.head(hashes)
            #expect(hashes.allSatisfy { !head.cannotHold($0) }, "one that is there is possible")
            if !head.cannotHold(UInt32(truncatingIfNeeded: dice.next())) { possible += 1 }
        }
        let others = 1 - (0..<max(0, length - 2)).reduce(1.0) { share, _ in share * 23 / 24 }
        #expect(abs(Double(possible) / Double(trials) - others) < 0.015)
    }

    @Test(
        "in a table of any size the bits that chose the bucket are not those that tell links apart",
        arguments: [UInt32(10), 16, 20, 22, 26])
    func printsUseOtherBits(bucketBits: UInt32) {
        // Inside a chain only the low bits of a hash differ.
        var dice = Dice(seed: UInt64(bucketBits))
        let bucket: UInt32 = 0x1234_5678 & ~(UInt32.max >> bucketBits)
        var possible = 0
        let trials = 4000
        for _ in 0..<trials {
            let hashes = (0..<5).map { _ in
                bucket | UInt32(truncatingIfNeeded: dice.next()) >> bucketBits
            }
            if !Self.head(hashes.prefix(4)).cannotHold(hashes[4]) { possible += 1 }
        }
        // Two prints of at most ten bits, and two tags of 24.
        let limit = 2.0 / Double(1 << min(10, 32 - bucketBits)) + 2.0 / 24 + 0.03
        #expect(Double(possible) / Double(trials) < limit)
    }

    @Test("a lookup is sent to the link that has its hash")
    func pointsToLinks() {
        let head = Self.head([1, 2, 3])
        #expect(head.likelyLink(3) == Link(Slot(2), .original))
        #expect(head.likelyLink(2) == Link(Slot(1), .original))
        #expect(head.likelyLink(1) == head.second, "from there the walk goes on")
        #expect(head.likelyLink(4) == .none)
    }

    @Test("an empty chain can hold nothing and has nothing expired")
    func empty() {
        let head = BucketHead()
        #expect(head.cannotHold(0) && head.cannotHold(7))
        #expect(!head.mayHaveExpired(at: Tick(123)))
        #expect(head.length == 0)
    }

    @Test("lengths are exact below 255 and a lower bound from there on")
    func counts() {
        var head = BucketHead()
        for length in UInt32(1)...300 {
            head.push(
                Link(Slot(length), .reply), hash: length, deadline: Tick(Self.longLife), at: Tick(0)
            )
            #expect(head.length == min(length, 255))
            #expect(head.isLengthExact == (length < 255))
        }
        for length in UInt32(1)..<290 { head.remove(Link(Slot(length), .reply)) }
        #expect(head.length == 255 && !head.isLengthExact, "only a walk can tell")
    }

    @Test("whatever comes and goes, a head denies no link and knows its first", arguments: 0..<40)
    func agreesWithTheChain(seed: Int) {
        var dice = Dice(seed: UInt64(seed))
        var head = BucketHead()
        var chain: [(link: Link, hash: UInt32)] = []
        for step in 0..<400 {
            let isGrowing = chain.isEmpty || dice.chance(of: chain.count < 6 ? 3 : 1, in: 5)
            if isGrowing {
                let hash = UInt32(truncatingIfNeeded: dice.next())
                let link = Link(Slot(UInt32(step)), .original)
                head.push(link, hash: hash, deadline: Tick(Self.longLife), at: Tick(0))
                chain.insert((link, hash), at: 0)
            } else {
                let place = Int(dice.below(UInt32(chain.count)))
                let gone = chain.remove(at: place)
                if place == 0 {
                    head.removeFirst(
                        followedBy: chain.first?.link ?? .none, hash: chain.first?.hash ?? 0)
                } else {
                    head.remove(gone.link)
                }
            }
            #expect(head.length == chain.count, "seed \(seed)")
            #expect(head.first == chain.first?.link ?? .none, "seed \(seed)")
            #expect(
                !head.knowsSecond || head.second == chain.dropFirst().first?.link, "seed \(seed)")
            if chain.count < 2 { #expect(head.second == .none, "seed \(seed)") }
            for (link, hash) in chain {
                #expect(head.likelyLink(hash) != .none && !head.cannotHold(hash), "seed \(seed)")
                guard let end = chain.firstIndex(where: { $0.link == head.likelyLink(hash) }),
                    let place = chain.firstIndex(where: { $0.link == link })
                else { continue }
                #expect(end <= place, "seed \(seed): the walk begins behind its end")
            }
        }
    }

    @Test(
        "no deadline passes unnoticed, wherever the tick counter stands",
        arguments: [
            UInt32(0), 1, 255, 256, 0x000f_ffff, 0x7fff_ff00, 0xffff_f000, 0xffff_ffff,
        ])
    func noticesDeadlines(start: UInt32) {
        for life: UInt32 in [0, 1, 2, 250, 255, 256, 257, 750, 2499, 2500, 2501, 7500, 30_000] {
            var head = BucketHead()
            let now = Tick(start)
            head.push(Link(Slot(0), .original), hash: 1, deadline: now + life, at: now)
            // From its end on, as long as the collector's cycles keep bounds fresh.
            for late: UInt32 in [0, 1, 100, 255, 256, 10_000, 400_000] {
                #expect(head.mayHaveExpired(at: now + life + late), "life \(life), \(late) late")
            }
        }
    }

    @Test("a bound nearly as old as the collector allows still counts as passed")
    func agesWell() {
        var head = BucketHead()
        head.push(Link(Slot(0), .original), hash: 1, deadline: Tick(10), at: Tick(0))
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
