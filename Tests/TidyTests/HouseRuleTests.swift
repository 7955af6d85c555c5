import Foundation
import Testing

/// House rules that no compiler keeps.
///
/// Each refusal names what to do instead.
@Suite struct HouseRuleTests {
    @Test("the tree is there to be looked at")
    func seesTheTree() {
        #expect(SourceTree.sources.count > 40)
        #expect(SourceTree.tests.count > 10)
        #expect(SourceTree.sources.contains { $0.path == "Sources/Wire/Address.swift" })
    }

    // MARK: Rooms

    /// Which rooms a room may import; the picture is in docs/architecture.md.
    static let arrows: [String: Set<String>] = [
        "Wire": [], "Conntrack": ["Wire", "CMemoryHints"],
        "LinuxCalls": ["Wire", "CLinuxShims", "CJemalloc", "CZlib", "Glibc"],
        "Scenario": ["Wire", "Conntrack", "Foundation", "Yams"],
        "Report": ["Wire", "Conntrack", "Foundation", "Rainbow"],
        "Replay": ["Wire", "Conntrack", "Scenario", "Report"],
        "Simulator": ["Wire", "Conntrack", "Scenario", "Report", "Histogram", "Foundation"],
        // Neither may borrow the other's idea of the truth: LiveKernel never sees Conntrack.
        "LiveKernel": ["Wire", "Report", "LinuxCalls"], "Fuzz": ["Wire"],
        "LoadGen": [
            "Wire", "Conntrack", "Scenario", "Report", "LinuxCalls", "FoundationEssentials",
            "Histogram", "RealModule",
        ],
        "Verify": ["Wire", "Conntrack", "Scenario", "Report", "Replay", "LiveKernel", "Fuzz"],
        "Captures": ["Wire"],
    ]

    @Test("a room imports only rooms below it")
    func keepsTheArrows() {
        var breaches: [Breach] = []
        for file in SourceTree.sources {
            guard let allowed = Self.arrows[file.room] else { continue }
            for (number, code) in file.code {
                guard let name = Self.imported(code), !allowed.contains(name) else { continue }
                breaches.append(
                    Breach(
                        path: file.path, line: number, found: "import \(name) in \(file.room)",
                        instead: allowed.isEmpty
                            ? "use the standard library, or move the code up"
                            : "use \(allowed.sorted().joined(separator: ", ")), or move the code up"
                    ))
            }
        }
        expectNone(breaches)
    }

    /// The module an import line names.
    private static func imported(_ code: String) -> String? {
        let words = code.split(separator: " ")
        guard let place = words.firstIndex(of: "import"), place + 1 < words.count, place <= 2,
            words[..<place].allSatisfy({
                [
                    "public", "internal", "package", "private", "fileprivate", "@testable",
                    "@preconcurrency", "@_exported",
                ].contains($0)
            })
        else { return nil }
        return String(words[words.count - 1].prefix { $0 != "." })
    }

    @Test("unsafe memory has two rooms")
    func keepsUnsafeInItsRooms() {
        let homes = ["Sources/Conntrack/Storage/", "Sources/LinuxCalls/"]
        var breaches: [Breach] = []
        for file in SourceTree.sources where !homes.contains(where: file.path.hasPrefix) {
            for (number, code) in file.code {
                guard
                    let word = Self.words(code).first(where: {
                        $0 == "unsafe" || $0.hasPrefix("Unsafe") || $0.hasPrefix("withUnsafe")
                    })
                else { continue }
                breaches.append(
                    Breach(
                        path: file.path, line: number, found: "'\(word)'",
                        instead:
                            "use Span, or give Conntrack/Storage or LinuxCalls a safe face for it"))
            }
        }
        expectNone(breaches)
    }

    private static func words(_ code: String) -> [Substring] {
        code.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
    }

    // MARK: Words

    /// Words that have no place in the sources, and what to use instead.
    static let refused: [(word: String, instead: String)] = [
        ("try!", "let the error through, or handle it"),
        ("as!", "use 'as?' and say what happens otherwise"),
        (
            "fatalError(",
            "use an outcome for input, 'precondition' with a sentence for our mistakes"
        ),
        ("@unchecked", "make it a plain Sendable value"),
        ("nonisolated(unsafe)", "hand the value in as an argument"),
        ("SystemRandomNumberGenerator", "use the dice the caller passes"),
        (".random(", "use the dice the caller passes"),
        (".randomElement(", "use the dice the caller passes"),
        (".shuffled(", "use the dice the caller passes"),
        (".hashValue", "use the run's own seeded hash"),
        ("Date()", "use the 'now' the caller passes"),
        ("ContinuousClock", "use the 'now' the caller passes"),
        ("SuspendingClock", "use the 'now' the caller passes"),
        ("DispatchQueue", "a run is one thread; parallelism is many runs"),
        ("NSLock", "a run is one thread; parallelism is many runs"),
    ]

    @Test("the sources are free of words that hide failure, time or chance")
    func refusesWords() {
        var breaches: [Breach] = []
        for file in SourceTree.sources {
            for (number, code) in file.code {
                for (word, instead) in Self.refused where code.contains(word) {
                    breaches.append(
                        Breach(
                            path: file.path, line: number, found: "'\(word)'", instead: instead))
                }
            }
        }
        expectNone(breaches)
    }

    @Test("work that is left to do is an issue, not a comment")
    func refusesReminders() {
        let reminders = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK:"]
        var breaches: [Breach] = []
        for file in SourceTree.sources + SourceTree.tests {
            for (index, line) in file.lines.enumerated() {
                for word in reminders where line.contains(word) {
                    breaches.append(
                        Breach(
                            path: file.path, line: index + 1, found: "'\(word)'",
                            instead: "do it, or open an issue"))
                }
            }
        }
        expectNone(breaches)
    }

    // MARK: Files

    @Test("no file is longer than 600 lines")
    func keepsFilesShort() {
        let long = (SourceTree.sources + SourceTree.tests).filter { $0.lines.count > 600 }
        expectNone(
            long.map {
                Breach(
                    path: $0.path, line: 600, found: "\($0.lines.count) lines",
                    instead: "split it by topic, as ConnectionTable+Confirm.swift")
            })
    }

    @Test("no room but the command prints")
    func keepsQuiet() {
        let commands = ["ctlab", "make-captures", "livecheck"]
        var breaches: [Breach] = []
        for file in SourceTree.sources where !commands.contains(file.room) {
            for (number, code) in file.code
            where Self.words(code).contains("print") && code.contains("print(") {
                breaches.append(
                    Breach(
                        path: file.path, line: number, found: "'print('",
                        instead: "return the text, and let the command print it"))
            }
        }
        expectNone(breaches)
    }

    // MARK: Tests

    @Test("tests of numbered conformance cases have names of their own")
    func namesCasesOnce() {
        var places: [String: [String]] = [:]
        for file in SourceTree.tests {
            for (index, line) in file.lines.enumerated() where !Self.cases(in: line).isEmpty {
                let title = line.split(separator: "\"").dropFirst().first.map(String.init) ?? ""
                places[title, default: []].append("\(file.path):\(index + 1)")
            }
        }
        #expect(places.count > 20)
        let twice = places.filter { $1.count > 1 }.sorted { $0.key < $1.key }
        let text = twice.map { "\($0): \($1.joined(separator: ", "))" }.joined(separator: "\n")
        #expect(twice.isEmpty, "\n\(text); say in each name what that test shows of the case")
    }

    /// `formats.md case 4` and so on, in a test's name.
    private static func cases(in line: Substring) -> [String] {
        guard line.contains("@Test("), let range = line.firstRange(of: ".md case") else {
            return []
        }
        let document = line[..<range.lowerBound].split { !$0.isLetter }.last ?? ""
        let rest = line[range.upperBound...].drop { $0 == "s" }.prefix { $0 != ":" && $0 != "\"" }
        return rest.split { !$0.isLetter && !$0.isNumber }
            .filter { $0.first?.isNumber == true }
            .map { "\(document).md case \($0)" }
    }
}
