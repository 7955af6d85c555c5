import Testing
import Verify

@Suite struct ShrinkerTests {
    @Test(
        "what is not needed goes, and what is needed stays in order",
        arguments: [[0], [99], [3, 50], [10, 11, 12], [0, 33, 66, 99]])
    func findsTheCore(_ core: [Int]) {
        let items = Array(0..<100)
        let best = Shrinker.shrink(items, budget: 1000) { candidate in
            core.allSatisfy(candidate.contains)
        }
        #expect(best == core)
    }

    @Test("the budget is kept", arguments: [0, 1, 5, 20])
    func keepsTheBudget(_ budget: Int) {
        var asked = 0
        let best = Shrinker.shrink(Array(0..<64), budget: budget) { candidate in
            asked += 1
            return candidate.contains(7) && candidate.contains(60)
        }
        #expect(asked <= budget)
        #expect(best.contains(7) && best.contains(60))
    }

    @Test("a list where everything is needed stays whole")
    func keepsTheNeeded() {
        let items = Array(0..<9)
        #expect(Shrinker.shrink(items, budget: 500) { $0 == items } == items)
    }

    @Test("a list of which nothing is needed becomes empty")
    func emptiesTheUseless() {
        #expect(Shrinker.shrink([1, 2, 3], budget: 500) { _ in true }.isEmpty)
    }
}
