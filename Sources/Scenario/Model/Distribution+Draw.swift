public import Conntrack
import Foundation

// Values out of chance, by inversion: one draw a value (two for the bell), so that a change of a
// parameter does not shift the draws that follow.

extension Scenario.Distribution {
    /// A value of the distribution, never negative and always finite.
    public func draw(_ dice: inout Dice) -> Double {
        switch self {
        case .constant(let value): return value
        case .normal(let mean, let deviation):
            // Box and Muller; the second value of the pair is let go, so that a draw has no memory.
            let radius = (-2 * Foundation.log(Self.openUnit(&dice))).squareRoot()
            let angle = 2 * Double.pi * Self.openUnit(&dice)
            return max(0, mean + deviation * radius * Foundation.cos(angle))
        default: return quantile(Self.openUnit(&dice))
        }
    }

    /// The value below which the share `part` of all values lies, 0 < `part` < 1.
    public func quantile(_ part: Double) -> Double {
        switch self {
        case .constant(let value): value
        case .uniform(let low, let high): low + (high - low) * part
        case .exponential(let mean): -mean * Foundation.log(1 - part)
        case .lognormal(let median, let p99):
            median * Foundation.exp(Self.lognormalSigma(median, p99) * Self.normalQuantile(part))
        case .pareto(let minimum, let shape): minimum / Foundation.pow(1 - part, 1 / shape)
        case .normal(let mean, let deviation):
            max(0, mean + deviation * Self.normalQuantile(part))
        }
    }

    /// The expected value; infinite for a Pareto tail of 1 or less.
    ///
    /// The bell's cut-off at 0 is left out.
    public var mean: Double {
        switch self {
        case .constant(let value): return value
        case .uniform(let low, let high): return (low + high) / 2
        case .exponential(let mean), .normal(let mean, _): return mean
        case .lognormal(let median, let p99):
            let sigma = Self.lognormalSigma(median, p99)
            return median * Foundation.exp(sigma * sigma / 2)
        case .pareto(let minimum, let shape):
            return shape > 1 ? minimum * shape / (shape - 1) : .infinity
        }
    }

    /// The logarithm's standard deviation.
    private static func lognormalSigma(_ median: Double, _ p99: Double) -> Double {
        Foundation.log(p99 / median) / 2.326_347_874_040_841
    }

    /// Evenly in 0..<1 without 0: 53 bits and a half step.
    private static func openUnit(_ dice: inout Dice) -> Double {
        (Double(dice.next() >> 11) + 0.5) / 9_007_199_254_740_992
    }

    /// The inverse of the normal distribution function.
    ///
    /// Acklam's rational approximation: relative error below 1.2e-9.
    static func normalQuantile(_ part: Double) -> Double {
        let low = 0.02425
        if part < low {
            return tail((-2 * Foundation.log(part)).squareRoot())
        }
        if part > 1 - low {
            return -tail((-2 * Foundation.log(1 - part)).squareRoot())
        }
        let q = part - 0.5
        let r = q * q
        let numerator = polynomial(
            [
                -39.696_830_286_653_76, 220.946_098_424_520_5, -275.928_510_446_968_7,
                138.357_751_867_269, -30.664_798_066_147_16, 2.506_628_277_459_239,
            ], r)
        let denominator = polynomial(
            [
                -54.476_098_798_224_06, 161.585_836_858_040_9, -155.698_979_859_886_6,
                66.801_311_887_719_72, -13.280_681_552_885_72, 1,
            ], r)
        return numerator * q / denominator
    }

    private static func tail(_ q: Double) -> Double {
        let numerator = polynomial(
            [
                -0.007_784_894_002_430_293, -0.322_396_458_041_136_5, -2.400_758_277_161_838,
                -2.549_732_539_343_734, 4.374_664_141_464_968, 2.938_163_982_698_783,
            ], q)
        let denominator = polynomial(
            [
                0.007_784_695_709_041_462, 0.322_467_129_070_039_8, 2.445_134_137_142_996,
                3.754_408_661_907_416, 1,
            ], q)
        return numerator / denominator
    }

    private static func polynomial(_ coefficients: [Double], _ x: Double) -> Double {
        coefficients.reduce(0) { $0 * x + $1 }
    }
}
