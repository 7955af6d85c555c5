import ArgumentParser
import Foundation
import LinuxCalls
import Scenario

/// `ctlab validate`: everything that is wrong with scenario files, without running them.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check scenario files without running them.",
        discussion: """
            Reads each file with the files it names and prints all that is wrong, each with its \
            line, its column and what was expected. Exit code 2 if anything is.

            EXAMPLES
              ctlab validate scenarios/*.yaml
              ctlab validate burst.yaml --set gw.sysctl.nf_conntrack_max=131072
              ctlab validate --schema scenario > scenario.schema.json
            """)

    @Argument(help: "Scenario files.")
    var files: [String] = []

    @Option(name: .customLong("set"), help: "Replace a value, as path=value; may be repeated.")
    var settings: [String] = []

    @Option(help: "Print the JSON schema of a kind of file instead: scenario or node.")
    var schema: SchemaName?

    @Flag(help: "Print mistakes alone.")
    var quiet = false

    enum SchemaName: String, ExpressibleByArgument, CaseIterable {
        case scenario, node
    }

    func validate() throws {
        if files.isEmpty, schema == nil {
            throw ValidationError("found no file, expected at least one")
        }
    }

    mutating func run() throws {
        if let schema, let text = JSONSchema(rawValue: schema.rawValue)?.text {
            try Output.write(text)
            return
        }
        let overrides = try ScenarioInput.overrides(settings)
        var refused = 0
        for file in files {
            let read: ScenarioFile
            do {
                read = try ScenarioFile.read(file, overrides: overrides)
            } catch {
                refused += 1
                Message.write(error.description)
                continue
            }
            if quiet { continue }
            for note in read.notes { Message.error(note) }
            try Output.line(Self.line(file, read.scenario))
        }
        guard refused == 0 else {
            throw Failure(
                code: .usage, text: "\(refused) of \(files.count) files refused")
        }
    }

    /// What a file amounts to, in a line.
    private static func line(_ file: String, _ scenario: Scenario) -> String {
        let layout = scenario.topology.layout
        let points = scenario.sweep.map { ", \($0.pointCount) points" } ?? ""
        let megabytes = (MemoryEstimate(scenario).total + (1 << 20) - 1) >> 20
        return "\(file): good: \(layout.members.count) machines, \(layout.links.count) links, "
            + "\(scenario.workloads.count) workloads, \(scenario.expectations.count) "
            + "expectations\(points); about \(megabytes) MiB"
    }
}
