// Figures as run reports write them.

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
