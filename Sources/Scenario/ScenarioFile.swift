import Foundation

// The door of the room: a path or a text in, a scenario or everything that is wrong with it out.

/// A scenario as its file describes it.
public struct ScenarioFile: Sendable {
    public var scenario: Scenario
    /// What the reader should be told although nothing is wrong.
    public var notes: [String]
    /// The file's text, which reports carry and hash.
    public var text: String
    public var path: String
    public var overrides: [Override]

    /// A value that replaces one of the file: `--set gw.sysctl.nf_conntrack_max=131072`.
    public struct Override: Sendable, Hashable, CustomStringConvertible {
        /// Keys and places in lists, from the top or from the name of a node, service or workload.
        public var path: String
        /// As YAML.
        public var value: String

        public init(path: String, value: String) {
            self.path = path
            self.value = value
        }

        /// `path=value`; `nil` without the sign.
        public init?(_ text: String) {
            guard let sign = text.firstIndex(of: "="), sign != text.startIndex else { return nil }
            self.init(
                path: text[..<sign].trimmed, value: text[text.index(after: sign)...].trimmed)
        }

        public var description: String { "\(path)=\(value)" }
    }

    /// Reads the file at `path`; paths inside it start from its folder.
    ///
    /// - Throws: everything that is wrong with it, with the files it names, and with `overrides`.
    public static func read(
        _ path: String, overrides: [Override] = []
    ) throws(FileError) -> ScenarioFile {
        let text: String
        do {
            text = try NodeFile.text(ofFile: path, limit: YAMLDocument.byteLimit)
        } catch {
            throw FileError([
                Finding(
                    file: path, line: 1, column: 1, found: "no readable file (\(error.reason))",
                    expected: "a scenario file")
            ])
        }
        let folder = URL(filePath: path).deletingLastPathComponent()
        return try parse(text, file: path, overrides: overrides) {
            (name, limit) throws(NodeFile.Unreadable) in
            let place = name.hasPrefix("/") ? name : folder.appending(path: name).path
            return try NodeFile.text(ofFile: place, limit: limit)
        }
    }

    /// Reads a scenario's text, which names no other files; `file` is what findings call it.
    public static func parse(
        _ text: String, file: String, overrides: [Override] = []
    ) throws(FileError) -> ScenarioFile {
        try parse(text, file: file, overrides: overrides) { (_, _) throws(NodeFile.Unreadable) in
            throw NodeFile.Unreadable(reason: "this scenario is on its own")
        }
    }

    static func parse(
        _ text: String, file: String, overrides: [Override], load: @escaping FileLoader
    ) throws(FileError) -> ScenarioFile {
        var document = try YAMLDocument(text, file: file)
        for override in overrides {
            try document.apply(.init(path: override.path, value: override.value))
        }
        var reader = ScenarioReader(document, load: load)
        reader.readAll()
        reader.checkAll()
        guard reader.findings.isEmpty else { throw FileError(reader.findings.inFileOrder) }
        return ScenarioFile(
            scenario: reader.result, notes: reader.notes, text: text, path: file,
            overrides: overrides)
    }
}

extension [Finding] {
    /// By file, the first met first, then by place; the same one only once.
    var inFileOrder: [Finding] {
        var files: [String] = []
        for finding in self where !files.contains(finding.file) { files.append(finding.file) }
        let sorted = enumerated().sorted { left, right in
            let l = left.element
            let r = right.element
            let leftFile = files.firstIndex(of: l.file) ?? 0
            let rightFile = files.firstIndex(of: r.file) ?? 0
            return (leftFile, l.line, l.column, left.offset)
                < (rightFile, r.line, r.column, right.offset)
        }
        var kept: [Finding] = []
        for (_, finding) in sorted where kept.last != finding { kept.append(finding) }
        return kept
    }
}
