internal import Conntrack
internal import Wire

/// What a machine says to the sender of a packet that a rule refused, in words.
enum AnswerText {
    /// `RST 198.51.100.7:80 > 10.0.0.2:40001`, or `icmp 10.0.0.1 > 10.0.0.2 type 3 code 3`.
    static func words(_ hex: String) -> String {
        let bytes = bytes(hex)
        var layout = PacketLayout()
        guard
            let packet = try? Packet(parsing: bytes.span, verifiesChecksum: false, layout: &layout)
        else { return "\(bytes.count) bytes" }
        let tuple = packet.tuple
        let (source, destination) = (
            tuple.source.text(tuple.family), tuple.destination.text(tuple.family)
        )
        var record = TupleRecord(source: source, destination: destination)
        if packet.tcp.flags.contains(.rst) {
            record.sourcePort = Int(tuple.sourcePart)
            record.destinationPort = Int(tuple.destinationPart)
            return "RST " + OutcomeText.text(record, 0)
        }
        record.type = Int(tuple.icmpType)
        record.code = Int(tuple.icmpCode)
        return OutcomeText.text(record, Int(tuple.protocolNumber))
    }

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
    }
}
