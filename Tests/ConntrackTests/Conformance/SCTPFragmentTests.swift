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
        let (first, second) = Self.cut(whole, behind: 8)
        #expect(bench.pass(first).reason == .fragmentPending)
        let left = bench.pass(second)
        #expect(left.bytes.map { $0.count - 20 } == pieces)
        let payload = left.bytes.flatMap { $0[20...] }
        #expect(payload[12...] == whole[32...])
        var crc = payload
        crc.replaceSubrange(8..<12, with: [0, 0, 0, 0])
        #expect(Array(payload[8..<12]) == PacketCheck.crc(crc))
    }

    /// Two fragments of an IPv4 packet.
    private static func cut(_ packet: [UInt8], behind count: Int) -> ([UInt8], [UInt8]) {
        var first = Array(packet[..<(20 + count)])
        var second = Array(packet[..<20] + packet[(20 + count)...])
        first.setBigEndian(UInt16(0x2000), at: 6)
        second.setBigEndian(UInt16(count / 8), at: 6)
        for (index, fragment) in [first, second].enumerated() {
            var mended = fragment
            mended.setBigEndian(UInt16(fragment.count), at: 2)
            mended.setBigEndian(UInt16(0), at: 10)
            mended.setBigEndian(Checksum.of(mended.span.extracting(0..<20)), at: 10)
            if index == 0 { first = mended } else { second = mended }
        }
        return (first, second)
    }
}
