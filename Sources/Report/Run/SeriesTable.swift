// What a run recorded, sample by sample.

/// Named columns over one row of times.
public struct SeriesTable: Sendable, Hashable {
    /// What a column's figures are.
    public enum Kind: String, Sendable, Hashable, Codable {
        /// A figure as it stood at the sample.
        case gauge
        /// How much was added since the sample before.
        case count
    }

    public struct Column: Sendable, Hashable {
        public var name: String
        public var kind: Kind
        public var values: [Double]

        public init(_ name: String, _ kind: Kind) {
            self.name = name
            self.kind = kind
            values = []
        }
    }

    /// Nanoseconds since the run began, ascending.
    public var times: [UInt64] = []
    public var columns: [Column] = []

    public init() {}

    public func column(_ name: String) -> Column? { columns.first { $0.name == name } }

    /// The table as CSV: seconds, then a column each.
    public var csv: String {
        var text = "time"
        for column in columns { text += "," + column.name }
        text += "\n"
        for (row, time) in times.enumerated() {
            text += NumberText.seconds(time)
            for column in columns { text += "," + NumberText.plain(column.values[row]) }
            text += "\n"
        }
        return text
    }
}

/// Latencies of one kind, sample by sample: microseconds and how often.
public struct LatencySeries: Sendable, Hashable {
    public struct Value: Sendable, Hashable {
        public var microseconds: UInt64
        public var count: UInt64

        public init(microseconds: UInt64, count: UInt64) {
            self.microseconds = microseconds
            self.count = count
        }
    }

    public var name: String
    /// One list a sample, ascending by value.
    public var steps: [[Value]] = []

    public init(_ name: String) { self.name = name }

    /// The value in microseconds that the share `part` of all in some steps does not exceed; `nil`
    /// where there are none.
    public func quantile(_ part: Double, of steps: Range<Int>? = nil) -> UInt64? {
        let range = steps ?? self.steps.indices
        var values = range.flatMap { self.steps[$0] }
        values.sort { $0.microseconds < $1.microseconds }
        let total = values.reduce(UInt64(0)) { $0 + $1.count }
        guard total > 0 else { return nil }
        let rank = max(1, (part * Double(total)).rounded(.up))
        var passed: UInt64 = 0
        for value in values {
            passed += value.count
            if Double(passed) >= rank { return value.microseconds }
        }
        return values.last?.microseconds
    }

    public var count: UInt64 { steps.joined().reduce(0) { $0 + $1.count } }
}

/// Numbers as outputs write them: the same on every machine.
public enum NumberText {
    /// Seconds with as many decimals as needed, at most nine.
    public static func seconds(_ nanoseconds: UInt64) -> String {
        let whole = nanoseconds / 1_000_000_000
        var fraction = String(nanoseconds % 1_000_000_000)
        guard fraction != "0" else { return "\(whole)" }
        fraction = String(repeating: "0", count: 9 - fraction.count) + fraction
        while fraction.last == "0" { fraction.removeLast() }
        return "\(whole).\(fraction)"
    }

    /// A figure without a decimal point where it has no fraction.
    public static func plain(_ value: Double) -> String {
        if value.rounded() == value, abs(value) < 1e15 { return String(Int64(value)) }
        return "\((value * 1e6).rounded() / 1e6)"
    }

    /// A count with thin groups: `65 536`.
    public static func grouped(_ value: UInt64) -> String {
        let digits = String(value)
        var text = ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place) % 3 == 0 { text += " " }
            text.append(digit)
        }
        return text
    }

    /// Seconds for a person: `12.4 s`, `2 min 5 s`, `1 h 3 min`.
    public static func duration(_ nanoseconds: UInt64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        if seconds < 120 {
            let tenths = (nanoseconds + 50_000_000) / 100_000_000
            return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
        }
        if seconds < 7200 {
            return seconds % 60 == 0
                ? "\(seconds / 60) min" : "\(seconds / 60) min \(seconds % 60) s"
        }
        return seconds / 60 % 60 == 0
            ? "\(seconds / 3600) h" : "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }

    /// Microseconds for a person: `850 µs`, `1.3 ms`, `2.05 s`.
    public static func latency(_ microseconds: UInt64) -> String {
        if microseconds < 1000 { return "\(microseconds) µs" }
        if microseconds < 1_000_000 {
            return plain((Double(microseconds) / 100).rounded() / 10) + " ms"
        }
        return plain((Double(microseconds) / 10_000).rounded() / 100) + " s"
    }

    /// Bytes for a person: `48 MiB`.
    public static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024 || unit == "GiB" {
                return plain((value * 10).rounded() / 10) + " " + unit
            }
            value /= 1024
        }
        return ""
    }
}
