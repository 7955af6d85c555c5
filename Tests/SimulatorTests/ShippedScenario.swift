import Foundation
import Scenario

/// A scenario that ships, with what a test sets otherwise.
enum ShippedScenario {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "scenarios")

    /// Names of all, in alphabetical order.
    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
    }()

    static func read(_ name: String, _ settings: [String] = []) throws -> Scenario {
        try ScenarioFile.read(
            folder.appending(path: "\(name).yaml").path,
            overrides: settings.compactMap(ScenarioFile.Override.init)
        ).scenario
    }
}
