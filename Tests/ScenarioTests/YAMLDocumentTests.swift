import Testing
import Yams

@testable import Scenario

/// YAML that could hurt is refused before it is parsed; places survive the way through it.
@Suite struct YAMLDocumentTests {
    static func finding(_ text: String) -> String? {
        do {
            _ = try YAMLDocument(text, file: "f")
            return nil
        } catch {
            return error.findings.first?.description
        }
    }

    @Test("anchors, aliases and merge keys are written out")
    func writesAliasesOut() throws {
        let document = try YAMLDocument(
            "a: &x { p: 1, q: 2 }\nb: *x\nc: { <<: *x, q: 3 }\nd: { <<: [{ q: 4, r: 5 }, *x] }\n",
            file: "f")
        #expect(document.root["b"]?["p"]?.string == "1")
        #expect(document.root["c"]?["p"]?.string == "1")
        #expect(document.root["c"]?["q"]?.string == "3")
        #expect(document.root["c"]?["<<"] == nil)
        #expect(document.root["d"]?["q"]?.string == "4")
        #expect(document.root["d"]?["p"]?.string == "1")
    }

    @Test(
        "what could cost the parser its time or its stack is refused before it is parsed",
        arguments: [
            ("a: &x 1\n*x : 2\n", "f:2:1: found a key that is no word, expected 'key: value'"),
            ("? [a, b]\n: 1\n", "f:1:1: found a key that is no word, expected 'key: value'"),
            ("a: {[x, y]: 1}\n", "f:1:10: found a key that is no word, expected 'key: value'"),
            ("a: {? x: 1}\n", "f:1:5: found a key that is no word, expected 'key: value'"),
            (
                "a: *x\n",
                "f:1:4: found text that is no YAML (found undefined alias), expected "
                    + "'key: value' lines"
            ),
            (
                "a: { <<: 5 }\n",
                "f:1:10: found no mapping to merge, expected '<<: *name' of a "
                    + "mapping"
            ),
        ])
    func refusesOddKeys(_ text: String, _ wanted: String) {
        #expect(Self.finding(text) == wanted)
    }

    @Test("anchors are counted, and aliases cannot make a tree deep or large")
    func boundsAnchors() {
        let many = (0...64).map { "a\($0): &a\($0) 1\n" }.joined()
        #expect(Self.finding(many) == "f:65:6: found more than 64 anchors, expected fewer")
        let deep = "a0: &a0 [1]\n" + (1...40).map { "a\($0): &a\($0) [*a\($0 - 1)]\n" }.joined()
        #expect(Self.finding(deep)?.contains("found more than 32 levels") == true)
        let tens = { (level: Int) in
            (0..<10).map { _ in "*a\(level)" }.joined(separator: ", ")
        }
        let large =
            "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
            + (1...9).map { "a\($0): &a\($0) [\(tens($0 - 1))]\n" }.joined()
        #expect(Self.finding(large)?.contains("found more than 1000000 values") == true)
    }

    @Test(
        "what only looks like one is let through",
        arguments: [
            "a: \"&x\"\n", "a: '*x'\n", "a: 1 # &x\n", "a: b&c\n", "a: eth*\n",
            "ruleset: |\n  tcp flags &syn\n  *filter\nb: 1\n",
            "ruleset: |-\n  &x\nb: 1\n", "a: >2\n    *x\n",
        ])
    func letsOthersThrough(_ text: String) {
        #expect(Self.finding(text) == nil)
    }

    @Test(
        "deep nesting is refused, however deep",
        arguments: [33, 1000, 300_000])
    func refusesDepth(_ depth: Int) {
        let brackets = "a: " + String(repeating: "[", count: depth)
        #expect(
            Self.finding(brackets)
                == "f:1:36: found more than 32 levels, expected fewer within each other")
        let dashes = String(repeating: "- ", count: depth)
        #expect(Self.finding(dashes)?.contains("found more than 32 levels") == true)
    }

    @Test("a file beyond the limit is refused")
    func refusesLength() {
        let text = "a: " + String(repeating: "x", count: YAMLDocument.byteLimit)
        #expect(
            Self.finding(text)?.hasPrefix("f:1:1: found 4194307 bytes, expected at most") == true)
    }

    @Test(
        "a literal block knows the line and the column its text begins at",
        arguments: [
            ("a: 1\nr: |\n  table ip x {\n  }\n", 3, 2),
            ("r: |\n\n\n    table\n", 2, 4),
            ("r: |2\n    table\n", 2, 2),
            ("x:\n  r: |-\n      table\n       y\n", 3, 6),
        ])
    func placesBlocks(_ text: String, _ line: Int, _ indentation: Int) throws {
        let document = try YAMLDocument(text, file: "f")
        let node = try #require(document.root["r"] ?? document.root["x"]?["r"])
        guard case .scalar(let scalar) = node else {
            Issue.record("no scalar")
            return
        }
        let place = document.place(of: scalar)
        #expect(place?.firstLine == line)
        #expect(place?.indentation == indentation)
    }

    @Test("other styles have no such place")
    func placesNothingElse() throws {
        let document = try YAMLDocument("r: \"a b\"\n", file: "f")
        guard case .scalar(let scalar)? = document.root["r"] else {
            Issue.record("no scalar")
            return
        }
        #expect(document.place(of: scalar) == nil)
    }

    @Test("no prefix and no flipped bit of a node file traps")
    func survivesDamage() {
        let text =
            NodeFileTests.head
            + "sysctl: { nf_conntrack_max: 5 }\nruleset: |\n  table ip x {\n  }\n"
        let bytes = Array(text.utf8)
        for end in 0...bytes.count {
            _ = NodeFileTests.findings(String(decoding: bytes[..<end], as: UTF8.self))
        }
        for bit in 0..<(bytes.count * 8) {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            _ = NodeFileTests.findings(String(decoding: damaged, as: UTF8.self))
        }
    }
}
