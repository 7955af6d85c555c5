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

    @Test("anchors and aliases are refused where they stand")
    func refusesAnchors() {
        #expect(
            Self.finding("a: &x [1]\nb: *x\n")
                == "f:1:4: found the YAML anchor '&x', expected values written out")
        #expect(
            Self.finding("a: 1\nb: [*x, 2]\n")
                == "f:2:5: found the YAML alias '*x', expected values written out")
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
