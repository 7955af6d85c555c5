import Simulator

/// The simulator's queue: one event out, one in, a million pending over a second.
func eventQueue() {
    var sum: UInt64 = 0
    func churn(_ rounds: Int) -> Double {
        nanosecondsEach(1) {
            sum &+= EventQueue.churn(
                pending: 1 << 20, rounds: rounds, spread: 1_000_000_000, seed: 1)
        }
    }
    let figure = measured { (churn(4 << 20) - churn(0)) / Double(4 << 20) }
    expect(sum != 0, "no event came out")
    report("event queue, pop + push, 1 M pending", figure, "ns", bar: 67)
}
