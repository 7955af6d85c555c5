import Foundation
import Testing

/// The project's own files, as the house rules see them.
enum SourceTree {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// One source file: its path from the root, and its lines.
    struct File {
        var path: String
        var lines: [Substring]

        /// `Wire` of `Sources/Wire/Address.swift`.
        var room: String {
            let parts = path.split(separator: "/")
            return parts.count > 1 ? String(parts[1]) : ""
        }

        /// Lines with comments and the text of one-line strings blanked out, numbered from 1.
        var code: [(number: Int, text: String)] {
            lines.enumerated().map { ($0 + 1, Self.withoutCommentsAndStrings($1)) }
        }

        private static func withoutCommentsAndStrings(_ line: Substring) -> String {
            var code = ""
            var isInString = false
            var previous: Character = " "
            for character in line {
                if character == "\"", previous != "\\" { isInString.toggle() }
                if !isInString, character == "/", previous == "/" {
                    return String(code.dropLast())
                }
                code.append(isInString && character != "\"" ? " " : character)
                previous = character
            }
            return code
        }
    }

    /// Every Swift file under `folder`, in order.
    static func files(_ folder: String) -> [File] {
        let start = root.appending(path: folder)
        guard let walk = FileManager.default.enumerator(atPath: start.path) else {
            Issue.record("no folder \(folder)")
            return []
        }
        var paths: [String] = []
        for case let path as String in walk where path.hasSuffix(".swift") {
            guard !path.contains(".build") else { continue }
            paths.append(path)
        }
        return paths.sorted().compactMap { path in
            guard let data = try? Data(contentsOf: start.appending(path: path)) else { return nil }
            let text = String(decoding: data, as: UTF8.self)
            return File(
                path: "\(folder)/\(path)",
                lines: text.split(separator: "\n", omittingEmptySubsequences: false))
        }
    }

    static let sources = files("Sources")
    static let tests = files("Tests")
}

/// A breach of a house rule: where, what stands there, what to do instead.
struct Breach: CustomStringConvertible {
    var path: String
    var line: Int
    var found: String
    var instead: String

    var description: String { "\(path):\(line): found \(found); \(instead)" }
}

/// Fails the test with one line a breach.
func expectNone(_ breaches: [Breach], _ location: SourceLocation = #_sourceLocation) {
    let text = breaches.map(\.description).joined(separator: "\n")
    #expect(breaches.isEmpty, "\n\(text)", sourceLocation: location)
}
