import Scenario

/// A scenario file, as every command that takes one reads it.
enum ScenarioInput {
    /// Reads the file at `path` with `--set` values over its own.
    ///
    /// - Throws: All that is wrong with it, as wrong usage.
    static func read(_ path: String, set settings: [String] = []) throws(Failure) -> ScenarioFile {
        let overrides = try overrides(settings)
        do {
            return try ScenarioFile.read(path, overrides: overrides)
        } catch {
            throw Failure(code: .usage, text: "the scenario is refused\n\(error)")
        }
    }

    /// The values of `--set path=value`.
    static func overrides(_ settings: [String]) throws(Failure) -> [ScenarioFile.Override] {
        var overrides: [ScenarioFile.Override] = []
        for text in settings {
            overrides.append(
                try OptionValue.read(
                    "--set", text, expected: "path=value", ScenarioFile.Override.init))
        }
        return overrides
    }
}
