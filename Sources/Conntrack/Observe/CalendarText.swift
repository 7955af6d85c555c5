// Wall-clock text without a C library: the model's machine keeps its clock in UTC, so that a run
// prints the same bytes everywhere.

/// How a run's instants and ticks become what tools print: seconds, dates, Unix time.
public struct TimeBase: Sendable, Hashable {
    public var tickRate: TickRate
    /// Unix time of the run's first instant, in nanoseconds.
    public var epochNanoseconds: UInt64

    public init(tickRate: TickRate, epochNanoseconds: UInt64) {
        self.tickRate = tickRate
        self.epochNanoseconds = epochNanoseconds
    }

    /// Whole seconds left of a timeout, truncated as the kernel does; zero once it is over.
    public func seconds(_ remainingTicks: Int32) -> Int {
        max(0, Int(remainingTicks)) / Int(tickRate.hertz)
    }

    /// Unix time of `instant` in nanoseconds.
    public func unixNanoseconds(_ instant: Instant) -> UInt64 {
        epochNanoseconds &+ instant.nanoseconds
    }

    /// `seconds.microseconds` of Unix time, the second part with six digits.
    func unixTimeText(_ instant: Instant) -> String {
        let time = unixNanoseconds(instant)
        return "\(time / 1_000_000_000).\(Self.padded(time / 1000 % 1_000_000, digits: 6))"
    }

    /// `Fri Nov 20 23:56:46 2026`: what `ctime` prints, in UTC.
    func dateText(_ instant: Instant) -> String {
        let seconds = unixNanoseconds(instant) / 1_000_000_000
        let days = Int(seconds / 86_400)
        let (year, month, day) = Self.date(daysSince1970: days)
        let inDay = seconds % 86_400
        let clock = [inDay / 3600, inDay / 60 % 60, inDay % 60]
            .map { Self.padded($0, digits: 2) }.joined(separator: ":")
        let dayText = day < 10 ? " \(day)" : "\(day)"
        let weekday = Self.weekdays[(days + 4) % 7]  // 1970 began on a Thursday.
        return "\(weekday) \(Self.months[month - 1]) \(dayText) \(clock) \(year)"
    }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// The Gregorian date of a day, counted in years that begin in March, which end with the leap
    /// day; 146 097 days are 400 such years.
    private static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468  // Days since 0000-03-01.
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    static func padded(_ value: UInt64, digits: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
