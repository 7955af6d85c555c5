/// Runs a judge over damaged copies of good inputs: every prefix, then random changes.
///
/// A judge returns a complaint about what a parser made of the bytes, or `nil`. A trap ends the
/// test process and is noticed that way.
struct Fuzzer {
    var seed: UInt64
    /// Damaged copies of each input, besides its prefixes.
    var changesPerInput = 2000

    struct Finding: Equatable, CustomStringConvertible {
        var seed: UInt64
        var input: [UInt8]
        var complaint: String
        var description: String { "seed \(seed): \(complaint), for \(input)" }
    }

    /// The first thing the judge complains about.
    func firstFinding(
        in corpus: [[UInt8]], _ judge: ([UInt8]) -> String?
    ) -> Finding? {
        var dice = TestDice(seed: seed)
        for input in corpus {
            for count in 0...input.count {
                let prefix = Array(input.prefix(count))
                if let complaint = judge(prefix) {
                    return Finding(seed: seed, input: prefix, complaint: complaint)
                }
            }
            for _ in 0..<changesPerInput {
                let damaged = Self.damaged(input, &dice)
                if let complaint = judge(damaged) {
                    return Finding(seed: seed, input: damaged, complaint: complaint)
                }
            }
        }
        return nil
    }

    /// A copy with a few bits turned, and now and then a byte set to an extreme, cut out or put in.
    static func damaged(_ input: [UInt8], _ dice: inout TestDice) -> [UInt8] {
        var bytes = input
        for _ in 0...dice.below(4) where !bytes.isEmpty {
            let index = dice.below(bytes.count)
            switch dice.below(8) {
            case 0: bytes[index] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)]
            case 1: bytes.remove(at: index)
            case 2: bytes.insert(UInt8(truncatingIfNeeded: dice.next()), at: index)
            default: bytes[index] ^= 1 << UInt8(dice.below(8))
            }
        }
        return bytes
    }
}
