internal import Conntrack

// Numbers with their units. A unit is never guessed: `300` is refused where `300ms` is meant.

/// What a number measures, with the units it may carry.
enum Quantity: String, CaseIterable {
    /// Nanoseconds.
    case duration
    /// Bytes.
    case size
    /// Per second.
    case rate
    /// Bits per second.
    case bitRate
    /// 0 to 1; written in percent, or bare.
    case share
    /// A bare number.
    case count

    /// Units and what one of them is in the base unit.
    var units: [(name: String, factor: Double)] {
        switch self {
        case .duration:
            [
                ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("min", 60e9),
                ("m", 60e9), ("h", 3600e9), ("d", 86_400e9),
            ]
        case .size:
            [
                ("B", 1), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("KiB", 1024),
                ("MiB", 1_048_576), ("GiB", 1_073_741_824),
            ]
        case .rate: [("/s", 1), ("/min", 1 / 60.0), ("/h", 1 / 3600.0), ("k/s", 1e3), ("M/s", 1e6)]
        case .bitRate: [("bit/s", 1), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9)]
        case .share: [("%", 0.01), ("", 1)]
        case .count: [("", 1), ("k", 1e3), ("M", 1e6)]
        }
    }

    /// What a finding calls it.
    var wanted: String {
        switch self {
        case .duration: "a duration with its unit, as 300ms (ns, us, ms, s, min, h, d)"
        case .size: "a size with its unit, as 20kB (B, kB, MB, GB, KiB, MiB, GiB)"
        case .rate: "a rate with its unit, as 4000/s (/s, /min, /h, k/s, M/s)"
        case .bitRate: "a rate in bits, as 100Mbit/s (bit/s, kbit/s, Mbit/s, Gbit/s)"
        case .share: "a share, as 0.5% or 0.005"
        case .count: "a number"
        }
    }

    /// The unit that is proposed where none is written.
    private var usualUnit: String {
        switch self {
        case .duration: "s"
        case .size: "B"
        case .rate: "/s"
        case .bitRate: "bit/s"
        case .share, .count: ""
        }
    }

    /// The largest value a file may hold, in the base unit.
    var limit: Double {
        switch self {
        case .duration: Double(ScenarioLimits.duration.nanoseconds)
        case .size: ScenarioLimits.byteCount
        case .rate: ScenarioLimits.ratePerSecond
        case .bitRate: 1e12
        case .share: 1
        case .count: 1e9
        }
    }

    private var limitText: String {
        switch self {
        case .duration: "at most 366d"
        case .size: "at most 1000GB"
        case .rate: "at most 10M/s"
        case .bitRate: "at most 1000Gbit/s"
        case .share: "at most 100%"
        case .count: "at most 1000M"
        }
    }

    /// Reads `text` into the base unit: zero or more, and not beyond `limit`.
    ///
    /// Durations may have several parts, the larger first: `1h30m`.
    func parse(_ text: some StringProtocol) throws(ValueProblem) -> Double {
        let text = String(text)
        guard let value = magnitude(text) else {
            var suggestion: String?
            if let number = Self.number(text[...]), number >= 0, !usualUnit.isEmpty {
                suggestion = text + usualUnit
            } else if let (digits, unit) = Self.split(text[...]), Self.number(digits) != nil {
                suggestion = nearestUnit(to: String(unit)).map { digits + $0 }
            }
            throw ValueProblem(
                found: text.isEmpty ? "nothing" : "'\(text.prefix(60))'", expected: wanted,
                suggestion: suggestion)
        }
        guard value <= limit else {
            throw ValueProblem(found: "'\(text.prefix(60))'", expected: limitText)
        }
        return value
    }

    /// The value of a number with its unit; `nil` where it is none.
    private func magnitude(_ text: String) -> Double? {
        if self == .duration { return compoundDuration(text) }
        guard let (digits, unit) = Self.split(text[...]), let number = Self.number(digits),
            let factor = units.first(where: { $0.name == unit })?.factor
        else { return nil }
        return number * factor
    }

    private func compoundDuration(_ text: String) -> Double? {
        var rest = text[...]
        var sum = 0.0
        var last = Double.infinity
        repeat {
            guard let (digits, tail) = Self.split(rest), let number = Self.number(digits) else {
                return nil
            }
            let unit = tail.prefix { !$0.isNumber }
            guard let factor = units.first(where: { $0.name == unit })?.factor, factor < last
            else { return nil }
            last = factor
            sum += (number * factor).rounded()
            rest = tail.dropFirst(unit.count)
        } while !rest.isEmpty
        return sum
    }

    private func nearestUnit(to word: String) -> String? {
        let names = units.map(\.name)
        if let same = names.first(where: { $0.lowercased() == word.lowercased() }) { return same }
        let long = [
            "sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "usec": "us",
            "minute": "min", "minutes": "min", "hour": "h", "hours": "h", "day": "d", "days": "d",
            "bytes": "B", "byte": "B", "b": "B", "K": "kB", "k": "kB", "KB": "kB", "M": "MB",
            "G": "GB", "ps": "/s", "persec": "/s", "per second": "/s", "cps": "/s", "pps": "/s",
            "Mbps": "Mbit/s", "Gbps": "Gbit/s", "kbps": "kbit/s", "Mbit": "Mbit/s",
            "Gbit": "Gbit/s", "s": "/s",
        ]
        return long[word].flatMap { names.contains($0) ? $0 : nil }
    }

    /// A number's characters and what follows them, blanks between them left out.
    private static func split(_ text: Substring) -> (digits: Substring, unit: Substring)? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == "_") }
        guard !digits.isEmpty else { return nil }
        return (digits, text.dropFirst(digits.count).drop { $0 == " " })
    }

    /// A plain decimal number; `65_536` has its usual meaning.
    static func number(_ text: Substring) -> Double? {
        guard let first = text.first, first.isNumber, let last = text.last, last.isNumber,
            text.utf8.count <= 40, text.allSatisfy({ $0.isASCII }),
            !text.contains(where: { $0.isLetter })
        else { return nil }
        let value = Double(text.filter { $0 != "_" })
        return value?.isFinite == true ? value : nil
    }
}
