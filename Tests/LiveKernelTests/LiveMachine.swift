import Foundation
import LiveKernel
import Testing

/// Everything that asks the live kernel, one test after the other: settings of the whole machine are
/// at stake.
@Suite(.serialized) enum LiveTests {}

/// Whether the live kernel can be asked here: root, tun, nft and ip.
enum LiveMachine {
    /// Why not; `nil` if it can.
    static let obstacle: String? = {
        do throws(LiveKernelError) {
            _ = try LiveRouter(LiveNode())
            return nil
        } catch {
            return "\(error)"
        }
    }()

    /// `nf_conntrack_max` while nobody has changed it.
    static func limitAtRest() throws -> String {
        // As long as this machine exists, nobody has the lease alone.
        let router = try LiveRouter(LiveNode())
        let limit = try Global.limit()
        _ = consume router
        return limit
    }

    static var isThere: Bool { obstacle == nil }

    /// Why the machine's limit cannot be lowered for a moment; `nil` if it can.
    static let crowd: String? = {
        let count = (try? Global.number("nf_conntrack_count")) ?? 0
        return count <= ownLimit
            ? nil : "the machine's own table has \(count) entries, expected \(ownLimit)"
    }()

    /// Entries of the machine's own that leave room for a limit below 100.
    private static let ownLimit = 45

    /// The smallest `nf_conntrack_max`, `least` or above, that leaves the machine's own connections
    /// alone: twice what they are, and some.
    ///
    /// Other tests talk over the machine's own loopback device, and what they leave there goes within
    /// two minutes: where it is too much, that is waited for.
    static func smallLimit(least: Int) throws -> Int {
        for _ in 0..<300 where try Global.number("nf_conntrack_count") > ownLimit {
            // Looking at the table is what removes expired entries.
            _ = try? String(contentsOfFile: "/proc/net/nf_conntrack", encoding: .utf8)
            Thread.sleep(forTimeInterval: 0.5)
        }
        return max(least, 2 * (try Global.number("nf_conntrack_count")) + 4)
    }

    /// Whether tests with a small `nf_conntrack_max` can run: it holds for the machine itself.
    static var hasRoom: Bool { isThere && crowd == nil }

    /// On a build machine a test that does not run is a failure.
    static var mustBeThere: Bool { ProcessInfo.processInfo.environment["CI"] == "true" }

    /// A machine with two sides, without rules.
    static func gateway(
        sysctls: [LiveNode.Setting] = [], ruleset: String = "",
        tracking: LiveNode.Tracking = .always
    ) -> LiveNode {
        LiveNode(
            interfaces: [
                LiveNode.Interface(name: "lan", addresses: ["10.0.0.1/16", "fd00::1/64"]),
                LiveNode.Interface(
                    name: "wan", addresses: ["203.0.113.1/24", "2001:db8::1/64"],
                    isDefault: true),
            ],
            sysctls: sysctls, ruleset: ruleset, tracking: tracking)
    }
}

@Suite struct LiveKernelPresenceTests {
    @Test("the tests of the live kernel run here, or say that they do not")
    func saysWhetherItIsThere() {
        guard let obstacle = LiveMachine.obstacle ?? LiveMachine.crowd else { return }
        let text = "NOT RUN: the tests that ask the live kernel (\(obstacle))"
        FileHandle.standardError.write(Data("\n*** \(text) ***\n\n".utf8))
        #expect(!LiveMachine.mustBeThere, "\(text)")
    }
}
