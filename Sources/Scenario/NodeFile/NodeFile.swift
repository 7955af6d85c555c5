public import Conntrack
import Foundation

// The node file of `ctlab replay`: one tracked machine, described in YAML. design: docs, README.

/// A machine as its file describes it.
public struct NodeFile: Sendable {
    public var configuration: NodeConfiguration
    /// The nftables text of the node, wherever it stood.
    public var rulesetText: String?
    /// Its rules in the form of iptables-save.
    public var iptablesText: String?
    /// Settings in the order they were applied: `sysctl_file` first, then `sysctl`.
    public var sysctls: [SysctlSetting]
    /// What the reader should be told although nothing is wrong.
    public var notes: [String]

    /// One `name = value`, with the name as it was written.
    public struct SysctlSetting: Sendable, Hashable {
        public var name: String
        public var value: String
    }

    /// What a node may hold at most.
    public enum Limits {
        public static let interfaces = 250
        /// Addresses and routes of one interface together.
        public static let prefixesPerInterface = 4096
        /// Bytes of a `sysctl_file`: `sysctl -a` prints some 50 kB.
        public static let sysctlFileByteCount = 4 << 20
    }

    /// Reads the file at `path`.
    ///
    /// Paths inside it start from its folder.
    /// - Throws: everything that is wrong with it and with the files it names.
    public static func read(_ path: String) throws(FileError) -> NodeFile {
        let text: String
        do {
            text = try Self.text(ofFile: path, limit: YAMLDocument.byteLimit)
        } catch {
            throw FileError([
                Finding(
                    file: path, line: 1, column: 1, found: "no readable file (\(error.reason))",
                    expected: "a node file")
            ])
        }
        let folder = URL(filePath: path).deletingLastPathComponent()
        return try parse(text, file: path) { name, limit throws(Unreadable) in
            let place = name.hasPrefix("/") ? name : folder.appending(path: name).path
            return try Self.text(ofFile: place, limit: limit)
        }
    }

    /// Reads a node file's text, which names no other files.
    ///
    /// `file` is what findings call it.
    public static func parse(_ text: String, file: String) throws(FileError) -> NodeFile {
        try parse(text, file: file) { _, _ throws(Unreadable) in
            throw Unreadable(reason: "this node file is on its own")
        }
    }

    /// Reads a node file's text; `load` hands over the files it names.
    static func parse(
        _ text: String, file: String,
        load: (_ name: String, _ limit: Int) throws(Unreadable) -> String
    ) throws(FileError) -> NodeFile {
        let document = try YAMLDocument(text, file: file)
        var reader = NodeFileReader(document)
        reader.readAll(load)
        guard reader.findings.isEmpty else {
            throw FileError(reader.findings.sorted { ($0.line, $0.column) < ($1.line, $1.column) })
        }
        return reader.result
    }

    /// Why a file could not be read, in the system's words.
    struct Unreadable: Error {
        var reason: String
    }

    static func text(ofFile path: String, limit: Int) throws(Unreadable) -> String {
        do {
            let handle = try FileHandle(forReadingFrom: URL(filePath: path))
            defer { try? handle.close() }
            // One byte more shows a file that is too long, whatever its length is said to be.
            let data = try handle.read(upToCount: limit + 1) ?? Data()
            guard data.count <= limit else {
                throw Unreadable(reason: "longer than \(limit) bytes")
            }
            guard let text = String(validating: data, as: UTF8.self) else {
                throw Unreadable(reason: "not UTF-8 text")
            }
            return text
        } catch let error as Unreadable {
            throw error
        } catch {
            throw Unreadable(reason: (error as NSError).localizedDescription)
        }
    }
}
