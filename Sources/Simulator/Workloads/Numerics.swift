// Logarithm and exponential from IEEE operations alone: a mathematics library may round the last
// bit differently on another machine, and a run must not.

enum Numerics {
    private static let ln2High = 0.693147180369123816490
    private static let ln2Low = 1.90821492927058770002e-10

    /// The natural logarithm of a positive finite number.
    static func logarithm(_ value: Double) -> Double {
        guard value > 0 else { return -.infinity }
        var mantissa = value.significand
        var exponent = Double(value.exponent)
        if mantissa > 1.4142135623730951 {
            mantissa /= 2
            exponent += 1
        }
        // ln m = 2 artanh((m - 1) / (m + 1)).
        let ratio = (mantissa - 1) / (mantissa + 1)
        let square = ratio * ratio
        var sum = 0.0
        var denominator = 27.0
        while denominator >= 1 {
            sum = sum * square + 1 / denominator
            denominator -= 2
        }
        return exponent * ln2High + (2 * ratio * sum + exponent * ln2Low)
    }

    /// The exponential of a number.
    static func exponential(_ value: Double) -> Double {
        guard value < 700 else { return .infinity }
        guard value > -700 else { return 0 }
        let power = (value / 0.69314718055994530942).rounded()
        let rest = (value - power * ln2High) - power * ln2Low
        var sum = 1.0
        var place = 18.0
        while place >= 1 {
            sum = 1 + rest / place * sum
            place -= 1
        }
        return Double(sign: .plus, exponent: Int(power), significand: sum)
    }
}
