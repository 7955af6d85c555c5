// What a header parser says about bytes it cannot take. Flat and without a payload on the heap:
// a hostile trace may throw one for every packet.

/// The header a parser was reading.
public enum Layer: String, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case ethernet = "Ethernet"
    case ipv4 = "IPv4"
    case ipv6 = "IPv6"
    case tcp = "TCP"
    case udp = "UDP"
    case icmp = "ICMP"
    case sctp = "SCTP"
    case gre = "GRE"
}

/// A header field whose value a parser refuses.
public enum HeaderField: String, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case version
    case headerLength = "header length"
    case totalLength = "total length"
    case payloadLength = "payload length"
    case checksum
    case source = "source address"
    case destination = "destination address"
    case hopByHopOption = "hop-by-hop option"

    /// What the field should have held, as the end of a sentence.
    var expectation: String {
        switch self {
        case .version: "the number of this protocol"
        case .headerLength: "at least the fixed header"
        case .totalLength: "from the header's length to the bytes present"
        case .payloadLength: "no more than the bytes present"
        case .checksum: "the sum of the header's bytes"
        case .source: "neither multicast nor loopback"
        case .destination: "neither loopback nor a multicast scope below link"
        case .hopByHopOption: "one that may be skipped, whole, at most eight of them"
        }
    }
}

/// Why bytes are not the header they were taken for.
public enum ParseError: Error, Hashable, Sendable, BitwiseCopyable {
    /// Fewer bytes than the header needs.
    case truncated(Layer, found: Int, needed: Int)
    /// A field whose value cannot be; `found` is the value as on the wire (lengths in bytes).
    case badField(Layer, HeaderField, found: Int)
}

extension ParseError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated(let layer, let found, let needed):
            "\(layer.rawValue) header: found \(found) bytes, expected at least \(needed)"
        case .badField(let layer, let field, let found):
            "\(layer.rawValue) \(field.rawValue): found \(found), expected \(field.expectation)"
        }
    }
}
