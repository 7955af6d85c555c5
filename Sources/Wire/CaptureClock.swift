/// How a capture's timestamps become nanoseconds since the epoch.
///
/// Results beyond 64 bits (the year 2554) stay at the largest number.
struct CaptureClock: Sendable, Hashable, BitwiseCopyable {
    /// `if_tsresol`: a negative power of ten, or of two when the highest bit is set.
    var resolution: UInt8 = 6
    /// `if_tsoffset`: seconds to add.
    var offsetSeconds: Int64 = 0

    /// What a timestamp of `units` means.
    func nanoseconds(units: UInt64) -> UInt64 {
        let scaled = resolution & 0x80 == 0 ? decimal(units) : binary(units)
        guard offsetSeconds != 0 else { return scaled }
        let (shift, overflow) = offsetSeconds.magnitude.multipliedReportingOverflow(
            by: 1_000_000_000)
        if offsetSeconds > 0 {
            let (sum, isTooLarge) = scaled.addingReportingOverflow(shift)
            return overflow || isTooLarge ? .max : sum
        }
        return overflow || shift > scaled ? 0 : scaled - shift
    }

    /// Units of 10 to the power of minus `resolution` seconds.
    private func decimal(_ units: UInt64) -> UInt64 {
        let exponent = Int(resolution)
        if exponent <= 9 {
            let (product, overflow) = units.multipliedReportingOverflow(
                by: Self.powersOfTen[9 - exponent])
            return overflow ? .max : product
        }
        return exponent - 9 < Self.powersOfTen.count ? units / Self.powersOfTen[exponent - 9] : 0
    }

    /// Units of 2 to the power of minus `resolution` seconds.
    private func binary(_ units: UInt64) -> UInt64 {
        let exponent = UInt64(resolution & 0x7f)
        let (high, low) = units.multipliedFullWidth(by: 1_000_000_000)
        if exponent >= 64 { return high >> (exponent - 64) }
        if exponent == 0 { return high == 0 ? low : .max }
        guard high >> exponent == 0 else { return .max }
        return high << (64 - exponent) | low >> exponent
    }

    private static let powersOfTen: [UInt64] = (0..<20).map { exponent in
        (0..<exponent).reduce(1) { power, _ in power * 10 }
    }
}
