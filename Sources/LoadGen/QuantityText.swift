/// Numbers with units, as options have them.
public enum QuantityText {
    /// Seconds of `300ms`, `10s`, `2m`, `1h`; a bare number is seconds.
    public static func seconds(_ text: String) -> Double? {
        let units: [(String, Double)] = [
            ("ms", 1e-3), ("us", 1e-6), ("s", 1), ("m", 60), ("h", 3600),
        ]
        for (unit, factor) in units where text.hasSuffix(unit) {
            return number(text.dropLast(unit.count)).map { $0 * factor }
        }
        return number(text[...])
    }

    /// A rate: `4000/s`, `4000`.
    public static func perSecond(_ text: String) -> Double? {
        text.hasSuffix("/s") ? number(text.dropLast(2)) : number(text[...])
    }

    /// A rate that may change: `4000/s`, or `200/s..4000/s`.
    public static func ramp(_ text: String) -> (from: Double, to: Double)? {
        guard let dots = text.firstRange(of: "..") else {
            return perSecond(text).map { ($0, $0) }
        }
        guard let from = perSecond(String(text[..<dots.lowerBound])),
            let to = perSecond(String(text[dots.upperBound...]))
        else { return nil }
        return (from, to)
    }

    /// Bytes of `800B`, `20kB`, `1MB`; a bare number is bytes.
    public static func byteCount(_ text: String) -> Int? {
        for (unit, factor) in [("kB", 1000.0), ("MB", 1e6), ("B", 1)] where text.hasSuffix(unit) {
            return number(text.dropLast(unit.count)).map { Int($0 * factor) }
        }
        return number(text[...]).map { Int($0) }
    }

    /// A number that is finite and not below zero.
    private static func number(_ text: Substring) -> Double? {
        guard let value = Double(text), value.isFinite, value >= 0, value < 1e12 else { return nil }
        return value
    }
}

extension HoldTime {
    /// Reads `none`, `forever`, `300ms`, `exponential(2s)`, `uniform(1s, 2s)`,
    /// `lognormal(median=300ms, p99=5s)`.
    public init?(_ text: String) {
        guard let open = text.firstIndex(of: "("), text.hasSuffix(")") else {
            switch text {
            case "none", "0": self = .none
            case "forever": self = .forever
            default:
                guard let seconds = QuantityText.seconds(text) else { return nil }
                self = .fixed(seconds: seconds)
            }
            return
        }
        let words = text[text.index(after: open)...].dropLast().split(separator: ",").map {
            $0.filter { !$0.isWhitespace }.split(separator: "=").last.map(String.init) ?? ""
        }
        let values = words.compactMap(QuantityText.seconds)
        guard values.count == words.count else { return nil }
        switch (text[..<open], values.count) {
        case ("exponential", 1): self = .exponential(meanSeconds: values[0])
        case ("uniform", 2) where values[0] <= values[1]:
            self = .uniform(from: values[0], to: values[1])
        case ("lognormal", 2) where values[0] > 0 && values[0] <= values[1]:
            self = .lognormal(medianSeconds: values[0], p99Seconds: values[1])
        default: return nil
        }
    }
}
