import Testing
import Wire

@testable import Conntrack

/// A fragmented SCTP packet leaves in the pieces it came in, unless somebody needed its header
/// whole (observed on 6.18).
@Suite("SCTP fragments")
struct SCTPFragmentTests {
    /// Whether CRCs are verified, whether the flow is translated, and the payload bytes of the
    /// pieces that leave.
    static let rows: [(verifies: Bool, translates: Bool, pieces: [Int])] = [
        (true, false, [24, 8]), (true, true, [24, 8]), (false, true, [24, 8]),
        (false, false, [8, 24]),
    ]

    @Test(
        "observed: a header cut behind its tag is drawn together if it is needed", arguments: rows)
    func drawsHeader(verifies: Bool, translates: Bool, pieces: [Int]) throws {
        let rules =
            translates ? NATSourceTests.toTen : Chain.postrouting("udp dport 1 masquerade")
        let bench = try NATBench(rules) { $0.sysctl.checksum = verifies }
        let whole = Make.sctp("10.1.0.2:1000 > 10.2.0.2:20", tag: 0, [.initiation(7)])
        let cut = FragmentPair.cut(whole, behind: 8)
        #expect(bench.pass(cut[0]).reason == .fragmentPending)
        let left = bench.pass(cut[1])
        #expect(left.bytes.map { $0.count - 20 } == pieces)
        let payload = left.bytes.flatMap { $0[20...] }
        #expect(payload[12...] == whole[32...])
        var crc = payload
        crc.replaceSubrange(8..<12, with: [0, 0, 0, 0])
        #expect(Array(payload[8..<12]) == PacketCheck.crc(crc))
    }
}
