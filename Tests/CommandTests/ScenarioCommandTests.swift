import Foundation
import Testing

/// `ctlab validate` and `ctlab list`, as a person would run them.
@Suite struct ScenarioCommandTests {
    @Test("a good file is told in a line, with what it would take")
    func validates() throws {
        let command = try Command.run(["validate", "scenarios/table-full-burst.yaml"])
        #expect(command.status == 0)
        #expect(
            command.output.hasPrefix(
                "scenarios/table-full-burst.yaml: good: 3 machines, 2 links, 2 workloads, "))
        #expect(command.error.isEmpty)
    }

    @Test("a wrong value is told with its place, and the exit code is 2")
    func refuses() throws {
        let command = try Command.run([
            "validate", "scenarios/table-full-burst.yaml", "--set", "haproxy.cpus=none", "--set",
            "burst.stages[1].rate=5",
        ])
        #expect(command.status == 2)
        #expect(command.output.isEmpty)
        #expect(
            command.error.split(separator: "\n").map(String.init) == [
                "--set haproxy.cpus=none:1:1: found 'none', expected a whole number from 1 to 1024",
                "--set burst.stages[1].rate=5:1:1: found '5', expected a rate with its unit, as "
                    + "4000/s (/s, /min, /h, k/s, M/s); did you mean '5/s'?",
                "ctlab: 1 of 1 files refused",
            ])
    }

    @Test("wrong usage is told, and the exit code is 2")
    func knowsItsUsage() throws {
        #expect(try Command.run(["validate"]).status == 2)
        #expect(try Command.run(["validate", "no-such-file.yaml"]).status == 2)
        #expect(
            try Command.run(["validate", "README.md", "--set", "cpus"]).error.contains(
                "--set: found 'cpus', expected path=value"))
        #expect(try Command.run(["list", "no-such-folder"]).status == 2)
    }

    @Test("the shipped scenarios are listed by name with what they are about")
    func lists() throws {
        let command = try Command.run(["list"])
        #expect(command.status == 0)
        let names = command.output.split(separator: "\n").map { $0.prefix { $0 != " " } }
        #expect(names.contains("table-full-burst"))
        #expect(names == names.sorted())
    }

    @Test("the schemas are printed as they are published", arguments: ["scenario", "node"])
    func printsSchemas(_ name: String) throws {
        let published = try String(
            contentsOf: Command.root.appending(path: "schema/\(name).schema.json"), encoding: .utf8)
        #expect(try Command.run(["validate", "--schema", name]).output == published)
    }
}
