internal import RealModule

// Measurement over prediction: how far apart two curves are, and the figures people ask for.

/// By how much measured figures may differ from predicted ones, in per cent of these.
public struct ComparisonBounds: Sendable, Codable, Hashable {
    public var plateau = 2.0
    public var full = 5.0
    public var drops = 10.0
    /// Of evictions, which hang on how the processors take turns: `nil` shows and does not judge.
    public var early: Double?

    public init() {}

    /// Reads `plateau=2,full=5,drops=10,early=10`, any of them; the others stay as they are.
    public init?(_ text: String) {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", omittingEmptySubsequences: false)
            guard words.count == 2 else { return nil }
            let number = words[1].hasSuffix("%") ? words[1].dropLast() : words[1]
            guard let percent = Double(number), percent >= 0, percent <= 1000 else { return nil }
            switch words[0] {
            case "plateau": plateau = percent
            case "full": full = percent
            case "drops": drops = percent
            case "early": early = percent
            default: return nil
            }
        }
    }
}

/// A figure, predicted and measured.
public struct ComparedFigure: Sendable, Codable, Hashable {
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// Mean of the table's entries in the last quarter of the run.
        case plateau
        /// Seconds until the table was full.
        case timeToFull = "time_to_full"
        /// Packets refused because it was.
        case drops
        /// Entries evicted to make room for others.
        case earlyDrops = "early_drops"

        /// What a person calls it.
        public var name: String {
            switch self {
            case .plateau: "plateau"
            case .timeToFull: "time to full"
            case .drops: "drops"
            case .earlyDrops: "early drops"
            }
        }
    }

    public var kind: Kind
    /// `nil` where it never came to pass.
    public var predicted: Double?
    public var measured: Double?
    /// How far the measured figure lies from the predicted one, in per cent of this; `nil` where
    /// one of them has come to pass and the other has not.
    public var errorPercent: Double?
    /// The bound; `nil` is none.
    public var withinPercent: Double?

    public init(
        _ kind: Kind, predicted: Double?, measured: Double?, withinPercent: Double?
    ) {
        self.kind = kind
        self.predicted = predicted
        self.measured = measured
        self.withinPercent = withinPercent
        switch (predicted, measured) {
        case (.none, .none): errorPercent = 0
        case (let predicted?, let measured?): errorPercent = Self.error(measured, predicted)
        default: errorPercent = nil
        }
    }

    public var isWithin: Bool {
        guard let withinPercent else { return true }
        return errorPercent.map { $0 <= withinPercent } ?? false
    }

    /// In per cent of what was predicted; something where nothing was predicted is all of it.
    static func error(_ measured: Double, _ predicted: Double) -> Double {
        if measured == predicted { return 0 }
        let base = predicted == 0 ? measured : predicted
        return abs((measured - predicted) / base) * 100
    }
}

/// How far the two curves are apart, in entries, at the moments of measurement.
public struct CurveDistance: Sendable, Codable, Hashable {
    public var largest: Double
    /// When that was, in seconds.
    public var largestAt: Double
    /// Root of the mean of the squares.
    public var rootMeanSquare: Double
    public var points: Int

    /// - Returns: `nil` if nothing was measured within `seconds`, or nothing predicted.
    public init?(_ predicted: Curve, _ measured: Curve, within seconds: Double) {
        largest = 0
        largestAt = 0
        points = 0
        var sum = 0.0
        for point in measured.points where point.seconds >= 0 && point.seconds <= seconds {
            guard let expected = predicted.value(at: point.seconds) else { return nil }
            let distance = abs(point.value - expected)
            if distance > largest { (largest, largestAt) = (distance, point.seconds) }
            sum += distance * distance
            points += 1
        }
        guard points > 0 else { return nil }
        rootMeanSquare = Double.sqrt(sum / Double(points))
    }
}

/// Two curves of one run, and how they compare.
public struct Comparison: Sendable, Codable, Hashable {
    /// The share of the run, at its end, that is taken for the plateau.
    static let plateauShare = 0.25

    public var seconds: Double
    public var predicted: TableCurve
    public var measured: TableCurve
    public var distance: CurveDistance?
    /// Plateau, time to full, drops; evictions where there were some.
    public var figures: [ComparedFigure]

    public init(
        predicted: TableCurve, measured: TableCurve, seconds: Double,
        within bounds: ComparisonBounds = ComparisonBounds()
    ) {
        self.seconds = seconds
        self.predicted = predicted
        self.measured = measured
        distance = CurveDistance(predicted.count, measured.count, within: seconds)
        func figure(
            _ kind: ComparedFigure.Kind, _ percent: Double?, _ value: (TableCurve) -> Double?
        ) -> ComparedFigure {
            ComparedFigure(
                kind, predicted: value(predicted), measured: value(measured),
                withinPercent: percent)
        }
        let start = seconds * (1 - Self.plateauShare)
        figures = [
            figure(.plateau, bounds.plateau) { $0.count.mean(from: start, to: seconds) },
            figure(.timeToFull, bounds.full) { $0.timeToFull(within: seconds) },
            // What the host does not say is not held against anybody.
            figure(.drops, measured.drop.points.isEmpty ? nil : bounds.drops) {
                $0.drop.growth(from: 0, to: seconds)
            },
        ]
        let evictions = figure(.earlyDrops, bounds.early) {
            $0.earlyDrop.growth(from: 0, to: seconds)
        }
        if (evictions.predicted ?? 0) > 0 || (evictions.measured ?? 0) > 0 {
            figures.append(evictions)
        }
    }

    public var isWithin: Bool { figures.allSatisfy(\.isWithin) }
}
