import Conntrack
import Testing
import Wire

/// The text behind log prefixes, against lines of a live 6.18 kernel.
@Suite struct PacketDumpTests {
    struct Sample {
        var name = ""
        var bytes: [UInt8] = []
        var all = ""
        var plain = ""
        var invalid: String?

        /// The interface the packet came in on.
        var input: String { all.contains("IN=tun1 ") ? "tun1" : "tun0" }
    }

    static let samples: [Sample] = {
        var samples: [Sample] = []
        for line in Fixture.lines("packet-dumps.txt") where !line.hasPrefix("#") {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            let value = parts[1].hasSuffix("$") ? String(parts[1].dropLast()) : parts[1]
            switch parts[0] {
            case "=": samples.append(Sample(name: value))
            case "bytes": samples[samples.count - 1].bytes = value.hexBytes
            case "all": samples[samples.count - 1].all = value
            case "plain": samples[samples.count - 1].plain = value
            default: samples[samples.count - 1].invalid = value
            }
        }
        return samples
    }()

    @Test("every dumped packet reads as the kernel wrote it, with and without details")
    func matchesTheKernel() {
        #expect(Self.samples.count > 400)
        for sample in Self.samples {
            let all = PacketDump.text(
                of: sample.bytes.span, from: sample.input, to: "", mark: 0x77, details: .all)
            #expect(all == sample.all, "\(sample.name)")
            let plain = PacketDump.text(
                of: sample.bytes.span, from: sample.input, to: "", details: [])
            #expect(plain == sample.plain, "\(sample.name)")
        }
    }

    @Test("the line about an invalid packet is the remark and the dump with everything")
    func matchesInvalidLines() {
        var compared = 0
        for sample in Self.samples {
            guard let line = sample.invalid,
                let remark = Self.remarks.first(where: { line.hasPrefix($0.line + " ") })
            else { continue }
            let mark: UInt32 = line.contains("MARK=0x99") ? 0x99 : 0
            let dump = PacketDump.text(
                of: sample.bytes.span, from: sample.input, to: "", mark: mark, details: .all)
            #expect(remark.logLine(dump: dump) == line, "\(sample.name)")
            compared += 1
        }
        #expect(compared >= 30)
    }

    private static let remarks: [TrackerRemark] = [
        TrackerRemark(6, .tcpFlags), TrackerRemark(6, .truncatedPacket),
        TrackerRemark(6, .badChecksum), TrackerRemark(17, .shortPacket),
        TrackerRemark(17, .truncatedMalformedPacket), TrackerRemark(17, .badChecksum),
        TrackerRemark(1, .shortPacket), TrackerRemark(1, .invalidICMPType),
        TrackerRemark(58, .badICMPv6Checksum), TrackerRemark(58, .shortPacket),
        TrackerRemark(58, .redirectSource), TrackerRemark(132, .sctpBadCRC),
        TrackerRemark(136, .coverage), TrackerRemark(136, .checksumMissing),
    ]

    @Test("on the way out both interfaces stand there; what the node itself sends has no MAC")
    func namesInterfaces() throws {
        let sample = try #require(Self.samples.first)
        let forwarded = PacketDump.text(
            of: sample.bytes.span, from: "tun0", to: "tun1", details: [])
        #expect(forwarded.hasPrefix("IN=tun0 OUT=tun1 MAC= SRC=10.0.0.2 "))
        let own = PacketDump.text(of: sample.bytes.span, from: "", to: "tun1", details: [])
        #expect(own.hasPrefix("IN= OUT=tun1 SRC=10.0.0.2 "))
    }

    @Test("no prefix and no flipped bit of a packet makes the dump read outside it")
    func survivesDamage() {
        for sample in Self.samples {
            for end in 0...sample.bytes.count {
                let cut = Array(sample.bytes[..<end])
                let text = PacketDump.text(of: cut.span, from: "a", to: "", details: .all)
                #expect(text.hasPrefix("IN=a OUT= MAC= "))
            }
            for bit in 0..<(sample.bytes.count * 8) {
                var damaged = sample.bytes
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                let text = PacketDump.text(of: damaged.span, from: "a", to: "", details: .all)
                #expect(text.hasPrefix("IN=a OUT= MAC= "))
            }
        }
    }
}

extension String {
    /// The bytes these hex digits stand for.
    var hexBytes: [UInt8] {
        var bytes: [UInt8] = []
        var digits = Substring(self)
        while let byte = UInt8(digits.prefix(2), radix: 16) {
            bytes.append(byte)
            digits = digits.dropFirst(2)
        }
        return bytes
    }
}
