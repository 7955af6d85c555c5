import Conntrack
import LinuxCalls
import Report
import Scenario

/// What goes to standard output.
enum Output {
    /// Writes a text as it is.
    ///
    /// - Returns: Whether anybody reads on: a reader that has gone (`| head`) is no failure, and
    ///   whatever was to come may be left out.
    /// - Throws: Why it could not be written, such as a full disk.
    @discardableResult
    static func write(_ text: String) throws(Failure) -> Bool {
        try write(bytes: Array(text.utf8))
    }

    @discardableResult
    static func line(_ text: String) throws(Failure) -> Bool { try write(text + "\n") }

    /// Writes all of `json`.
    @discardableResult
    static func write(_ json: JSONText) throws(Failure) -> Bool {
        try write(bytes: Array(json.bytes))
    }

    private static func write(bytes: [UInt8]) throws(Failure) -> Bool {
        do throws(SystemCallError) {
            try StandardStream.output.write(bytes.span)
            return true
        } catch {
            if error.isReaderGone { return false }
            throw Failure(code: .failed, text: "\(error)")
        }
    }
}

/// An option's value, read.
enum OptionValue {
    /// Reads `text`; a refusal names the option.
    static func read<Value>(
        _ option: String, _ text: String, _ read: (String) throws(ValueProblem) -> Value
    ) throws(Failure) -> Value {
        do throws(ValueProblem) {
            return try read(text)
        } catch {
            throw Failure(code: .usage, text: "\(option): \(error)")
        }
    }

    /// Reads `text`, or says what was expected.
    static func read<Value>(
        _ option: String, _ text: String, expected: String, _ read: (String) -> Value?
    ) throws(Failure) -> Value {
        if let value = read(text) { return value }
        throw Failure(code: .usage, text: "\(option): found '\(text)', expected \(expected)")
    }

    /// Seconds of a duration above zero.
    static func seconds(_ option: String, _ text: String) throws(Failure) -> Double {
        Double(try read(option, text, OptionQuantity.duration).nanoseconds) / 1e9
    }
}
