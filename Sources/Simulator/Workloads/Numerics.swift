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

/// A quantity drawn by chance.
enum Distribution: Hashable, BitwiseCopyable {
    case constant(Double)
    case uniform(Double, Double)
    case exponential(mean: Double)
    /// The logarithm is normal with this mean and deviation.
    case lognormal(mean: Double, deviation: Double)

    /// A lognormal quantity by its median and 99th percentile.
    static func lognormal(median: Double, p99: Double) -> Distribution {
        let mean = Numerics.logarithm(median)
        let deviation = (Numerics.logarithm(p99) - mean) / 2.3263478740408408
        return .lognormal(mean: mean, deviation: deviation)
    }
}

/// Chance as floating-point quantities.
extension Sampler {
    mutating func draw(_ distribution: Distribution) -> Double {
        switch distribution {
        case .constant(let value): return value
        case .uniform(let low, let high): return low + (high - low) * unit()
        case .exponential(let mean): return -mean * Numerics.logarithm(1 - unit())
        case .lognormal(let mean, let deviation):
            return Numerics.exponential(mean + deviation * normal())
        }
    }

    /// Uniform in 0..<1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Normal with mean 0 and deviation 1, by Marsaglia's polar method.
    mutating func normal() -> Double {
        while true {
            let left = 2 * unit() - 1
            let right = 2 * unit() - 1
            let square = left * left + right * right
            if square < 1, square > 0 {
                return left * (-2 * Numerics.logarithm(square) / square).squareRoot()
            }
        }
    }
}
