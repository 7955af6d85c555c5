import Foundation
import Testing

@testable import Conntrack

/// The judge: what loads here loads in the real kernel, through the real nft.
///
/// Each text goes to `nft -f` in a network namespace of its own, which is gone when nft is.
@Suite("Rules: the live kernel takes what we take")
struct RulesLiveTests {
    static let nft = ["/usr/sbin/nft", "/sbin/nft"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }
    static let unshare = ["/usr/bin/unshare", "/bin/unshare"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }
    static let canRun = geteuid() == 0 && nft != nil && unshare != nil

    /// What nft says to the text; nothing where it loads.
    private func load(_ text: String) throws -> String {
        let nft = try #require(Self.nft)
        let unshare = try #require(Self.unshare)
        let file = FileManager.default.temporaryDirectory
            .appending(path: "rules-\(UUID().uuidString).nft")
        try text.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(filePath: unshare)
        process.arguments = ["--net", nft, "-f", file.path]
        let output = Pipe()
        process.standardError = output
        process.standardOutput = output
        try process.run()
        let said = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationStatus == 0 ? "" : said
    }

    @Test(
        "The shipped rulesets", .enabled(if: canRun, "needs root, nft and unshare"),
        arguments: RulesExamples.names)
    func examples(name: String) throws {
        #expect(try load(RulesExamples.text(name)) == "")
    }

    @Test(
        "The rules of the match tables", .enabled(if: canRun, "needs root, nft and unshare"))
    func matches() throws {
        let rows = RulesMatchTests.rows + RulesStateTests.flagRows + RulesStateTests.connectionRows
        // nft knows the interfaces of its own namespace, which has only `lo`.
        let rules = rows.map(\.rule).filter { !$0.hasPrefix("iif lan") && !$0.hasPrefix("iif {") }
        #expect(try load(RulesSupport.forward(rules.joined(separator: "\n"))) == "")
    }

    @Test(
        "The rules made for services", .enabled(if: canRun, "needs root, nft and unshare"),
        arguments: [0, 1, 3])
    func services(endpoints: Int) throws {
        let rules = ServiceRulesTests.rules(
            ServiceRulesTests.service(endpoints, nodePort: 30_080, affinity: .clientIP()))
        #expect(try load(rules.text(.nftables)) == "")
    }

    @Test(
        "What the language offers besides", .enabled(if: canRun, "needs root, nft and unshare"),
        arguments: RulesLanguageTests.texts)
    func language(text: String) throws {
        #expect(try load(text) == "")
    }

    @Test(
        "The rules of the nat tables", .enabled(if: canRun, "needs root, nft and unshare"),
        arguments: RulesNATTests.rows)
    func translations(_ row: RulesNATTests.Row) throws {
        #expect(
            try load("table ip t {\nchain c {\ntype nat hook \(row.hook)\n\(row.rule)\n}\n}\n")
                == "")
    }
}
