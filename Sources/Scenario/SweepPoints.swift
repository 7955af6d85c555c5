// A sweep is a list of numbered points: every combination of the matrix's values, each with every
// seed. The number of a point depends on the file alone, so that engines can share a sweep out.

extension Scenario.Sweep {
    /// One run of a sweep.
    public struct Point: Sendable, Hashable {
        /// From 0.
        public var number: Int
        public var overrides: [ScenarioFile.Override]
        public var seed: UInt64
    }

    /// Points in all; `Int.max` stands for more than can be counted.
    public var pointCount: Int {
        var count = max(1, seeds.count)
        for axis in matrix {
            let (product, overflow) = count.multipliedReportingOverflow(by: axis.values.count)
            if overflow { return Int.max }
            count = product
        }
        return count
    }

    /// The point with this number: seeds change first, then the last path of the matrix.
    ///
    /// - Parameter seed: the scenario's, where the sweep has none.
    public func point(_ number: Int, seed: UInt64) -> Point? {
        guard (0..<pointCount).contains(number) else { return nil }
        var rest = number
        var chosen = seed
        if !seeds.isEmpty {
            chosen = seeds[rest % seeds.count]
            rest /= seeds.count
        }
        var overrides: [ScenarioFile.Override] = []
        for axis in matrix.reversed() {
            overrides.append(.init(path: axis.path, value: axis.values[rest % axis.values.count]))
            rest /= axis.values.count
        }
        return Point(number: number, overrides: overrides.reversed(), seed: chosen)
    }
}

extension Scenario {
    /// All points of the scenario's sweep in order; itself alone without one.
    public var points: [Sweep.Point] {
        guard let sweep else { return [.init(number: 0, overrides: [], seed: seed)] }
        return (0..<sweep.pointCount).compactMap { sweep.point($0, seed: seed) }
    }
}
