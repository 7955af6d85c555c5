import Conntrack
import Scenario
import Testing

/// Quantities of a command line: the words of scenario files.
@Suite struct OptionQuantityTests {
    @Test(
        "durations have units, and may have several parts",
        arguments: [
            ("300ms", 300_000_000), ("10s", 10_000_000_000), ("2m", 120_000_000_000),
            ("2min", 120_000_000_000), ("1h30m", 5_400_000_000_000), ("50us", 50_000), ("0s", 0),
        ] as [(String, UInt64)])
    func readsDurations(_ text: String, _ nanoseconds: UInt64) throws {
        #expect(try UInt64(OptionQuantity.duration(text).nanoseconds) == nanoseconds)
    }

    @Test(
        "what is no quantity is none", arguments: ["", "s", "-1s", "nan", "1e99", "infs", "1m1h"])
    func refuses(_ text: String) {
        #expect(throws: ValueProblem.self) { try OptionQuantity.duration(text) }
        #expect(throws: ValueProblem.self) { try OptionQuantity.ramp(text) }
        #expect(throws: ValueProblem.self) { try OptionQuantity.byteCount(text) }
    }

    @Test("a missing unit is not guessed, but proposed")
    func proposesUnits() {
        #expect {
            try OptionQuantity.duration("10")
        } throws: {
            "\($0)".hasPrefix("found '10', expected a duration with its unit")
                && "\($0)".hasSuffix("did you mean '10s'?")
        }
        #expect {
            try OptionQuantity.perSecond("4000")
        } throws: {
            "\($0)".hasSuffix("did you mean '4000/s'?")
        }
    }

    @Test("rates may change, sizes and shares have their units")
    func readsOthers() throws {
        #expect(try OptionQuantity.ramp("200/s..4k/s") == (200, 4000))
        #expect(try OptionQuantity.ramp("30/min") == (0.5, 0.5))
        #expect(throws: ValueProblem.self) { try OptionQuantity.ramp("200/s..") }
        #expect(try OptionQuantity.byteCount("20kB") == 20_000)
        #expect(try OptionQuantity.byteCount("0B") == 0)
        #expect(try OptionQuantity.share("0.5%") == 0.005)
    }
}
