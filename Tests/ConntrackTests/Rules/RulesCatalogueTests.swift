import Foundation
import Testing
import Wire

@testable import Conntrack

/// The subset of the rule language as a whole: what is in it works, and loads in the real kernel;
/// what is not is refused with its place and with what there is instead.
@Suite("Rules: every word of the subset")
struct RulesCatalogueTests {
    @Test("holds for the packet it is meant for, and for no other", arguments: RulesCatalogue.rows)
    func holds(_ row: CatalogueRow) throws {
        for (packet, said) in [(row.hit, row.saysToHit), (row.miss, row.saysToMiss)] {
            var ruleset = try RulesSupport.ruleset(row.text)
            var packet = packet
            let entry = packet.info.direction == nil ? nil : row.entry
            let outcome = RulesSupport.ask(&ruleset, &packet, entry: entry)
            #expect(CatalogueRow.Said(outcome) == said, "\(row.text)")
        }
    }

    @Test(
        "nft takes it too", .enabled(if: RulesLiveTests.canRun, "needs root, nft and unshare"),
        arguments: RulesCatalogue.areas.map(\.name))
    func loads(area: String) throws {
        let rows = try #require(RulesCatalogue.areas.first { $0.name == area }).rows
        for row in rows {
            #expect(try Self.check(row.text) == "", "\(row.word)")
        }
    }

    /// What nft takes and this does not: refused by name, at its place.
    struct Refusal: Sendable, CustomTestStringConvertible {
        var rule: String
        /// Where in the rule the finding points.
        var word: String
        /// Part of what it says is supported there.
        var supported: String
        var testDescription: String { rule }

        init(_ rule: String, at word: String, _ supported: String) {
            self.rule = rule
            self.word = word
            self.supported = supported
        }
    }

    static let refusals: [Refusal] = [
        Refusal("meta skuid 0 drop", at: "skuid", "l4proto"),
        Refusal("meta cpu 1 drop", at: "cpu", "l4proto"),
        Refusal("meta pkttype host drop", at: "pkttype", "l4proto"),
        Refusal("ip id 5 drop", at: "id", "saddr"),
        Refusal("ip frag-off & 0x1fff != 0 drop", at: "frag-off", "saddr"),
        Refusal("ip6 flowlabel 5 drop", at: "flowlabel", "saddr"),
        Refusal("tcp window 5 drop", at: "window", "flags"),
        Refusal("tcp option maxseg size 5 drop", at: "option", "flags"),
        Refusal("udp length 5 drop", at: "length", "sport"),
        Refusal("icmp id 5 drop", at: "id", "type"),
        Refusal("@th,16,16 80 drop", at: "@th", "expected a match ("),
        Refusal("ether saddr 00:11:22:33:44:55 drop", at: "ether", "expected a match ("),
        Refusal("rt classid 5 drop", at: "rt", "expected a match ("),
        Refusal("ct avgpkt > 5 drop", at: "avgpkt", "state"),
        Refusal("ct count 5 drop", at: "count", "state"),
        Refusal("ct event set new", at: "event", "state"),
        Refusal("quota over 5 mbytes drop", at: "quota", "expected a match ("),
        Refusal("limit rate 5 mbytes/second drop", at: "mbytes", "rates in bytes"),
        Refusal("log level audit", at: "audit", "emerg"),
        Refusal("tcp option maxseg size set 5", at: "option", "flags"),
        Refusal("ip dscp set ef", at: "set", "only marks"),
    ]

    @Test("of another language is refused by name, with what is supported", arguments: refusals)
    func refuses(_ row: Refusal) throws {
        let text = RulesSupport.forward(" " + row.rule)
        let error = #expect(throws: RulesetError.self) { try RulesSupport.ruleset(text) }
        let finding = try #require(error?.findings.first)
        let column = try #require(row.rule.range(of: row.word)).lowerBound
        #expect(finding.line == 4)
        #expect(
            finding.column
                == row.rule.distance(from: row.rule.startIndex, to: column) + 2,
            "\(finding)")
        #expect(finding.description.contains(row.supported), "\(finding)")
    }

    @Test(
        "nft takes what is refused", .enabled(if: RulesLiveTests.canRun, "needs root and nft"))
    func loadsRefused() throws {
        for row in Self.refusals {
            let text = RulesSupport.forward(row.rule)
            #expect(try Self.check(text) == "", "\(row.rule)")
        }
    }

    /// What `nft -c -f` says to the text on a machine that has the interfaces of the rows.
    private static func check(_ text: String) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: try #require(RulesLiveTests.unshare))
        let script = "ip tuntap add lan mode tun && ip tuntap add wan mode tun && exec "
        process.arguments = [
            "--net", "sh", "-c", script + (try #require(RulesLiveTests.nft)) + " -c -f -",
        ]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardError = output
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
        try input.fileHandleForWriting.close()
        let said = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationStatus == 0 ? "" : said
    }
}
