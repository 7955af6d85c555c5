// Two curves as characters, for a terminal or a log.

/// Draws prediction and measurement into one picture.
public struct CurveChart: Sendable {
    static let predictedMark: Character = "·"
    static let measuredMark: Character = "o"
    static let bothMark: Character = "●"

    private let predicted: Curve
    private let measured: Curve
    /// The line of the table's maximum, where it matters.
    private let limit: Double?
    private let seconds: Double
    private let width: Int
    private let height: Int

    /// - Parameters:
    ///   - limit: Drawn if a curve comes near it; `nil` is none.
    ///   - seconds: The length of the time axis.
    ///   - width: Columns of the picture, without the axis.
    ///   - height: Lines of the picture, without the axis.
    public init(
        predicted: Curve, measured: Curve, limit: Double?, seconds: Double, width: Int = 72,
        height: Int = 16
    ) {
        precondition(width > 1 && height > 1 && seconds > 0, "a picture has an extent")
        self.predicted = predicted
        self.measured = measured
        self.limit = limit
        self.seconds = seconds
        self.width = width
        self.height = height
    }

    /// The picture, the legend above it and the axis below.
    public var lines: [String] {
        let peak = (predicted.points + measured.points)
            .filter { $0.seconds >= 0 && $0.seconds <= seconds }
            .reduce(0) { max($0, $1.value) }
        let isNear = limit.map { $0 > 0 && peak >= $0 / 2 } ?? false
        let top = max(1, isNear ? max(peak, limit ?? 0) : peak)
        var rows = Array(
            repeating: [Character](repeating: " ", count: width), count: height)
        if isNear, let limit {
            for column in 0..<width { rows[row(of: limit, top)][column] = "-" }
        }
        for column in 0..<width {
            let moment = seconds * Double(column) / Double(width - 1)
            let expected = predicted.value(at: moment).map { row(of: $0, top) }
            let seen = measured.value(at: moment).map { row(of: $0, top) }
            if let expected { rows[expected][column] = Self.predictedMark }
            if let seen {
                rows[seen][column] = seen == expected ? Self.bothMark : Self.measuredMark
            }
        }
        let scale = [
            0: top, height / 2: top * Double(height - 1 - height / 2) / Double(height - 1),
        ]
        let margin = FigureText.whole(top).count
        var lines = [
            "entries   \(Self.predictedMark) predicted   \(Self.measuredMark) measured   "
                + "\(Self.bothMark) both" + (isNear ? "   - nf_conntrack_max" : "")
        ]
        for (index, row) in rows.enumerated() {
            let label = index == height - 1 ? "0" : scale[index].map { FigureText.whole($0) } ?? ""
            lines.append(FigureText.right(label, margin) + " │" + Self.trimmed(row))
        }
        lines.append(
            String(repeating: " ", count: margin) + " └" + String(repeating: "─", count: width))
        lines.append(String(repeating: " ", count: margin + 2) + axis)
        return lines
    }

    private func row(of value: Double, _ top: Double) -> Int {
        let share = min(1, max(0, value / top))
        return height - 1 - Int((share * Double(height - 1)).rounded())
    }

    /// The time axis: its ends and its quarters.
    private var axis: String {
        var text = ""
        for quarter in 0...4 {
            let label = FigureText.short(seconds * Double(quarter) / 4) + " s"
            let column = (width - 1) * quarter / 4
            let start = quarter == 4 ? max(0, width - label.count) : column
            text += String(repeating: " ", count: max(0, start - text.count)) + label
        }
        return text
    }

    private static func trimmed(_ row: [Character]) -> String {
        let end = row.lastIndex { $0 != " " } ?? -1
        return String(row[...end])
    }
}

/// Numbers as a person reads them.
enum FigureText {
    /// `12 345`, without what is behind the point.
    static func whole(_ value: Double) -> String {
        guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
        let digits = Array(String(Int64(value.rounded()).magnitude))
        var text = value.rounded() < 0 ? "-" : ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place) % 3 == 0 { text += " " }
            text.append(digit)
        }
        return text
    }

    /// With so many digits behind the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, value.magnitude < 1e12 else { return "\(value)" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let number = Int64((value * scale).rounded())
        let whole = number.magnitude / UInt64(scale)
        let rest = String(number.magnitude % UInt64(scale))
        let padding = String(repeating: "0", count: max(0, digits - rest.count))
        return (number < 0 ? "-" : "") + "\(whole)" + (digits > 0 ? "." + padding + rest : "")
    }

    /// One digit behind the point, and none if it is a 0.
    static func short(_ value: Double) -> String {
        let text = fixed(value, 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// Filled up with spaces in front.
    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
