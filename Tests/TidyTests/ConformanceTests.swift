import Foundation
import Testing

/// docs/conformance.md: every numbered case of the specification, and the tests that show it.
@Suite struct ConformanceTests {
    private static func conformance(_ arguments: String..., in root: URL = SourceTree.root) throws
        -> (status: Int32, output: String)
    {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = [root.appending(path: "scripts/conformance").path] + arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    @Test("the page says what the tests' titles say")
    func pageFollowsTitles() throws {
        let result = try Self.conformance("--check")
        #expect(result.status == 0, "\n\(result.output)")
    }

    /// A tree with one document of three cases, whose tests have these titles.
    private static func tree(_ cases: String, _ titles: String...) throws -> URL {
        let manager = FileManager.default
        let root = manager.temporaryDirectory.appending(path: "ctlab-\(UUID())")
        for folder in ["scripts", "docs", "Tests"] {
            try manager.createDirectory(
                at: root.appending(path: folder), withIntermediateDirectories: true)
        }
        try manager.copyItem(
            at: SourceTree.root.appending(path: "scripts/conformance"),
            to: root.appending(path: "scripts/conformance"))
        try Data(cases.utf8).write(to: root.appending(path: "docs/conformance.cases"))
        let tests = titles.map { "@" + "Test(\n    \"\($0)\")\nfunc f() {}\n" }.joined()
        try Data(tests.utf8).write(to: root.appending(path: "Tests/T.swift"))
        return root
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let name: String
        let cases: String
        let title: String
        /// What the script has to say; `nil` if nothing.
        let complaint: String?

        var testDescription: String { name }
    }

    static let rows = [
        Row(
            name: "all cases have tests", cases: "rule.md §1: 1-3\n",
            title: "rule.md cases 1, 2 and 3b: shown", complaint: nil),
        Row(
            name: "a reason instead of a test",
            cases: "rule.md §1: 1-3\nrule.md 2,3 not shown: cannot be\n",
            title: "rule.md case 1, in passing: shown", complaint: nil),
        Row(
            name: "a case without test and reason", cases: "rule.md §1: 1-3\n",
            title: "rule.md cases 1 and 3: shown", complaint: "rule.md case 2: found no test"),
        Row(
            name: "a case that is not there", cases: "rule.md §1: 1-3\n",
            title: "rule.md cases 1, 2, 3 and 4: shown", complaint: "rule.md case 4"),
        Row(
            name: "a number behind other words is no case", cases: "rule.md §1: 1-3\n",
            title: "rule.md cases 1 and 2, Linux 3: shown",
            complaint: "rule.md case 3: found no test"),
    ]

    @Test("a case has a test or a reason, or the script refuses", arguments: rows)
    func everyCaseIsAccountedFor(_ row: Row) throws {
        let root = try Self.tree(row.cases, row.title)
        defer { try? FileManager.default.removeItem(at: root) }
        let result = try Self.conformance(in: root)
        guard let complaint = row.complaint else {
            #expect(result.status == 0 && result.output.isEmpty, "\(result.output)")
            return
        }
        #expect(result.status == 1 && result.output.contains(complaint), "\(result.output)")
    }
}
