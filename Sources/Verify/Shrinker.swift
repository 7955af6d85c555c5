/// Finds a short list that still fails where a long one did (delta debugging).
public enum Shrinker {
    /// Leaves out what is not needed, in ever smaller pieces, until nothing more can go or the
    /// budget is used up.
    ///
    /// - Parameters:
    ///   - items: A list for which `fails` is true.
    ///   - budget: How often `fails` may be asked.
    public static func shrink<Item, Failure: Error>(
        _ items: [Item], budget: Int, fails: ([Item]) throws(Failure) -> Bool
    ) throws(Failure) -> [Item] {
        var best = items
        var left = budget
        var size = max(1, best.count / 2)
        while true {
            var hasShrunk = false
            var start = 0
            while start < best.count, left > 0 {
                let candidate =
                    Array(best[..<start]) + Array(best[min(best.count, start + size)...])
                left -= 1
                if try fails(candidate) {
                    best = candidate  // What follows has moved up to `start`.
                    hasShrunk = true
                } else {
                    start += size
                }
            }
            if left <= 0 { return best }
            if size > 1 {
                size = max(1, size / 2)
            } else if !hasShrunk {
                return best
            }
        }
    }
}
