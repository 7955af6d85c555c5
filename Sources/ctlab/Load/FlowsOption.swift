import LoadGen
import Scenario

/// How many connections an option asks for: `50000`, or `50%` of a table's maximum.
enum FlowsOption {
    case count(Int)
    case share(Double)

    init(_ option: String, _ text: String) throws(Failure) {
        if text.hasSuffix("%") {
            let share = try OptionValue.read(option, text, OptionQuantity.share)
            guard share > 0 else {
                throw Failure(
                    code: .usage, text: "\(option): found '\(text)', expected more than 0%")
            }
            self = .share(share)
        } else {
            guard let count = Int(text) else {
                throw Failure(
                    code: .usage,
                    text: "\(option): found '\(text)', expected a number, or a share of the "
                        + "table's maximum: 50%")
            }
            guard count >= 1 else {
                throw Failure(
                    code: .usage, text: "\(option): found \(text), expected 1 or more")
            }
            guard count <= LoadLimits().flows else {
                throw Failure(
                    code: .usage,
                    text: "\(option): found \(text), expected at most \(LoadLimits().flows)")
            }
            self = .count(count)
        }
    }

    /// Connections; those of a share by the maximum of the table that is observed, which is said.
    func count(_ option: String, of observation: ObserveOptions) throws -> Int {
        switch self {
        case .count(let count): return count
        case .share(let share):
            guard let maximum = try observation.tableMaximum() else {
                throw Failure(
                    code: .environment,
                    text: "\(option): found a share, and no table is observed; give --observe "
                        + "\(Vantage.forms), or a number")
            }
            guard maximum > 0 else {
                throw Failure(
                    code: .environment,
                    text: "\(option): found a share, and nf_conntrack_max there is 0: no limit; "
                        + "give a number")
            }
            let count = max(1, Int((share * Double(maximum)).rounded()))
            Message.error("\(option): \(count) connections, of nf_conntrack_max \(maximum)")
            return count
        }
    }
}

extension ObserveOptions {
    /// `nf_conntrack_max` of the table that is observed; `nil` where none is.
    func tableMaximum() throws -> Int? {
        guard var probe = try probe() else { return nil }
        do throws(ProbeError) {
            return try probe.sample().limit
        } catch {
            throw Failure(
                code: .environment, text: "the observed table is not to be read: \(error)")
        }
    }
}
