import Foundation
import Wire

/// Sequences of fragments sent through a live 6.18 kernel, and what came out of it.
///
/// `Fixtures/fragments-*.txt` has a line `FAMILY MTU` for each case, then for each fragment sent a
/// line `in HEADERS OFFSET BYTES KIND` and after it what left the machine at once:
///
/// * `out BYTES FNV`: a packet of so many bytes with this FNV-1a hash, the identification of an
///   IPv6 fragment header taken as zero;
/// * `pass`: the fragment itself;
/// * `big MTU`: an ICMP error to the sender, "fragmentation needed" or "packet too big".
///
/// HEADERS is hexadecimal without the addresses, which are the same throughout. Data byte i of a
/// fragment at offset o is 7o + 3i, except for the first eight bytes of kind `d`, which are a
/// destination options header.
struct RecordedFragments {
    struct Step {
        var packet: [UInt8]
        var results: [String]
    }

    struct Case {
        var family: Family
        var mtu: Int
        var steps: [Step]
    }

    var cases: [Case] = []

    /// The addresses the sequences were sent with.
    static func builder(_ family: Family) -> PacketBuilder {
        switch family {
        case .ipv4:
            PacketBuilder(.ipv4, from: Address(ipv4: 0x0a00_0002), to: Address(ipv4: 0x0a00_0102))
        case .ipv6:
            PacketBuilder(
                .ipv6, from: Address(high: 0xfd00_0000_0000_0001, low: 2),
                to: Address(high: 0xfd00_0000_0000_0002, low: 2))
        }
    }

    enum Failure: Error { case line(String) }

    init(_ name: String) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        let text = try String(
            contentsOf: folder.appending(path: "Fixtures/\(name).txt"), encoding: .utf8)
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            switch words[0] {
            case "4", "6":
                guard words.count == 2, let mtu = Int(words[1]) else {
                    throw Failure.line("\(line)")
                }
                cases.append(Case(family: words[0] == "4" ? .ipv4 : .ipv6, mtu: mtu, steps: []))
            case "in":
                guard words.count == 5, let offset = Int(words[2]), let count = Int(words[3]),
                    let family = cases.last?.family
                else { throw Failure.line("\(line)") }
                let packet = Self.packet(family, words[1], offset, count, words[4] == "d")
                cases[cases.count - 1].steps.append(Step(packet: packet, results: []))
            default:
                let steps = cases[cases.count - 1].steps.count
                cases[cases.count - 1].steps[steps - 1].results.append(String(line))
            }
        }
    }

    private static func packet(
        _ family: Family, _ headers: Substring, _ offset: Int, _ count: Int, _ hasOptions: Bool
    ) -> [UInt8] {
        let digits = headers.utf8.map { $0 <= 57 ? $0 - 48 : $0 - 87 }
        let bytes = stride(from: 0, to: digits.count, by: 2).map {
            digits[$0] << 4 | digits[$0 + 1]
        }
        let builder = builder(family)
        let before = family == .ipv4 ? 12 : 8
        var packet = Array(bytes[..<before])
        packet.append(builder.source, family)
        packet.append(builder.destination, family)
        packet += bytes[before...]
        var data = (0..<count).map { UInt8(truncatingIfNeeded: offset * 7 + $0 * 3) }
        if hasOptions { data.replaceSubrange(0..<8, with: [200, 0, 1, 4, 0, 0, 0, 0]) }
        return packet + data
    }

    static func hash(_ bytes: [UInt8]) -> String {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
