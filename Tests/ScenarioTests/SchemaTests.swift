import Foundation
import Testing
import Yams

@testable import Scenario

/// The published schemas say what the readers accept.
@Suite struct SchemaTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test("the published schema is the generated one", arguments: JSONSchema.allCases)
    func isPublished(_ schema: JSONSchema) throws {
        let published = try Self.text("schema/\(schema.rawValue).schema.json")
        #expect(
            published == schema.text,
            "run: ctlab validate --schema \(schema.rawValue) > schema/\(schema.rawValue).schema.json"
        )
    }

    static func shipped(_ folder: String, _ isWanted: (String) -> Bool) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path)
            .filter { $0.hasSuffix(".yaml") && isWanted($0) }.sorted().map { "\(folder)/\($0)" }
    }

    @Test("every shipped scenario is read without a finding, and fits the schema")
    func scenariosFit() throws {
        let schema = try SchemaCheck(.scenario)
        let files = try Self.shipped("scenarios") { !$0.hasSuffix(".node.yaml") }
        #expect(!files.isEmpty)
        for file in files {
            let path = Self.root.appending(path: file).path
            let read = try ScenarioFile.read(path)
            #expect(file == "scenarios/\(read.scenario.name).yaml")
            #expect(schema.problems(try Self.text(file)) == [], "\(file)")
        }
    }

    @Test("every shipped node file fits the schema")
    func nodesFit() throws {
        let schema = try SchemaCheck(.node)
        let files =
            try Self.shipped("scenarios/captures") { $0.hasSuffix(".node.yaml") }
            + Self.shipped("Tests/Corpus") { $0.hasSuffix(".node.yaml") }
        #expect(files.count > 40)
        for file in files {
            #expect(schema.problems(try Self.text(file)) == [], "\(file)")
        }
    }

    @Test(
        "every incident of the format's tests fits the schema",
        arguments: IncidentFormTests.incidents)
    func incidentsFit(_ name: String, _ text: String) throws {
        let head = "version: 1\nname: \(name)\nabout: A.\nduration: 600s\n"
        #expect(try SchemaCheck(.scenario).problems(head + text + "\n") == [])
    }

    static let refused = [
        "duration: 60", "durations: 60s", "seed: x", "workloads: { w: { to: web:443/tcp } }",
        "limits: { packets: many }", "expect: [{ severity: warn }]",
        "timeline: [{ at: 5s, link: { between: [a, b], loss: x% } }]",
        "topology: { nodes: { gw: { role: ruter } } }", "topology: { nodes: { gw: { cpus: 0 } } }",
        "topology: { nodes: { gw: { processing: 5 } } }",
    ]

    @Test("what the reader refuses by its form, the schema refuses", arguments: refused)
    func refusesToo(_ line: String) throws {
        let key = line.prefix { $0 != ":" }
        let lines = [
            "version: 1", "name: a", "about: A.", "duration: 60s",
            "topology: { nodes: { gw: {} } }",
        ]
        let text =
            (lines.filter { !$0.hasPrefix("\(key):") } + [line]).joined(separator: "\n") + "\n"
        #expect(try !SchemaCheck(.scenario).problems(text).isEmpty)
        #expect(!ScenarioExample.findings(text).isEmpty)
    }
}

/// As much of JSON schema as the published ones use.
struct SchemaCheck {
    private let root: [String: Any]

    init(_ schema: JSONSchema) throws {
        let parsed = try JSONSerialization.jsonObject(with: Data(schema.text.utf8))
        root = try #require(parsed as? [String: Any])
    }

    func problems(_ yaml: String) -> [String] {
        guard let node = try? YAMLDocument(yaml, file: "f").root else { return ["no YAML"] }
        return check(node, root, "$")
    }

    private func check(_ node: YAMLNode, _ schema: [String: Any], _ path: String) -> [String] {
        if let reference = schema["$ref"] as? String {
            let name = reference.split(separator: "/").last.map(String.init) ?? ""
            guard let target = (root["$defs"] as? [String: Any])?[name] as? [String: Any] else {
                return ["\(path): no definition \(name)"]
            }
            return check(node, target, path)
        }
        if let choices = schema["anyOf"] as? [[String: Any]] {
            let isGood = choices.contains { check(node, $0, path).isEmpty }
            return isGood ? [] : ["\(path): none of the forms"]
        }
        var problems: [String] = []
        let types = (schema["type"] as? [String]) ?? (schema["type"] as? String).map { [$0] }
        if let types,
            !types.contains(where: {
                $0 == Self.type(node) || $0 == "number" && Self.type(node) == "integer"
            })
        {
            return ["\(path): \(Self.type(node)) is not \(types.joined(separator: " or "))"]
        }
        if let values = schema["enum"] as? [Any] {
            let word = node.scalar?.string ?? ""
            if !values.contains(where: { "\($0)" == word }) {
                problems.append("\(path): '\(word)'")
            }
        }
        if let pattern = schema["pattern"] as? String, let word = node.scalar?.string,
            word.range(of: pattern, options: .regularExpression) == nil
        {
            problems.append("\(path): '\(word)' does not match \(pattern)")
        }
        if let number = node.scalar.flatMap({ Double($0.string) }) {
            if let low = schema["minimum"] as? Double, number < low {
                problems.append("\(path): low")
            }
            if let high = schema["maximum"] as? Double, number > high {
                problems.append("\(path): high")
            }
        }
        if case .sequence(let sequence) = node, let items = schema["items"] as? [String: Any] {
            for (index, element) in sequence.enumerated() {
                problems += check(element, items, "\(path)[\(index)]")
            }
        }
        if case .mapping(let mapping) = node { problems += check(mapping, schema, path) }
        return problems
    }

    private func check(
        _ mapping: YAMLNode.Mapping, _ schema: [String: Any], _ path: String
    ) -> [String] {
        var problems: [String] = []
        let properties = schema["properties"] as? [String: Any] ?? [:]
        let patterns = (schema["patternProperties"] as? [String: Any])?.keys.map { $0 } ?? []
        for (key, value) in mapping {
            let name = key.string ?? ""
            if let inner = properties[name] as? [String: Any] {
                problems += check(value, inner, "\(path).\(name)")
            } else if patterns.contains(where: {
                name.range(of: $0, options: .regularExpression) != nil
            }) {
                continue
            } else if let inner = schema["additionalProperties"] as? [String: Any] {
                problems += check(value, inner, "\(path).\(name)")
            } else if schema["additionalProperties"] as? Bool == false {
                problems.append("\(path): unknown key \(name)")
            }
        }
        for name in schema["required"] as? [String] ?? [] where mapping[name] == nil {
            problems.append("\(path): no \(name)")
        }
        return problems
    }

    private static func type(_ node: YAMLNode) -> String {
        switch node {
        case .mapping: return "object"
        case .sequence: return "array"
        case .alias: return "alias"
        case .scalar(let scalar):
            guard scalar.style == .plain else { return "string" }
            if ["", "~", "null"].contains(scalar.string) { return "null" }
            if ["true", "false"].contains(scalar.string) { return "boolean" }
            if Int(scalar.string) != nil { return "integer" }
            return Double(scalar.string) != nil ? "number" : "string"
        }
    }
}
