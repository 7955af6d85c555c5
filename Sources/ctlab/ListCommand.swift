import ArgumentParser
import Foundation
import Scenario

/// `ctlab list`: the scenarios of a folder.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the scenarios that are shipped.",
        discussion: """
            Prints name and purpose of each scenario in FOLDER, by default the folder 'scenarios' \
            here or where CTLAB_SCENARIOS points to.

            EXAMPLES
              ctlab list
              ctlab list ~/incidents
            """)

    @Argument(help: "A folder of scenario files.")
    var folder: String?

    mutating func run() throws {
        let folder =
            self.folder ?? ProcessInfo.processInfo.environment["CTLAB_SCENARIOS"] ?? "scenarios"
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw Failure(
                code: .usage, text: "\(folder): found no readable folder, expected scenario files")
        }
        let files = names.filter { $0.hasSuffix(".yaml") && !$0.hasSuffix(".node.yaml") }.sorted()
        var rows: [(name: String, about: String)] = []
        var refused = 0
        for file in files {
            do {
                let scenario = try ScenarioFile.read("\(folder)/\(file)").scenario
                rows.append((scenario.name, scenario.about))
            } catch {
                refused += 1
                Message.write(error.description)
            }
        }
        let width = rows.map(\.name.count).max() ?? 0
        for row in rows {
            let blanks = String(repeating: " ", count: width - row.name.count + 2)
            try Output.line("\(row.name)\(blanks)\(row.about)")
        }
        if rows.isEmpty, refused == 0 { Message.error("\(folder): no scenarios") }
        guard refused == 0 else {
            throw Failure(code: .usage, text: "\(refused) of \(files.count) files refused")
        }
    }
}
