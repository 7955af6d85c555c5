/// An IPv6 extension header to compose.
public enum IPv6ExtensionHeader: Sendable, Hashable {
    /// Options, filled up with padding to units of eight bytes.
    case hopByHop(options: [UInt8] = [])
    /// Options, filled up with padding to units of eight bytes.
    case destinationOptions([UInt8] = [])
    /// A routing header without addresses.
    case routing(type: UInt8, segmentsLeft: UInt8 = 0)
    /// `nextHeader`, `position` and `namedAt` of the value are not used.
    case fragment(IPv6FragmentHeader)
    case authentication(securityParameters: UInt32, sequence: UInt32, check: [UInt8] = [])
    /// The bytes after the next-header byte, as they are.
    case raw(number: UInt8, rest: [UInt8])

    /// The protocol number that announces this header.
    public var number: UInt8 {
        switch self {
        case .hopByHop: IPv6Extension.hopByHop
        case .destinationOptions: IPv6Extension.destinationOptions
        case .routing: IPv6Extension.routing
        case .fragment: IPv6Extension.fragment
        case .authentication: IPv6Extension.authentication
        case .raw(let number, _): number
        }
    }

    /// The header as on the wire, announcing `next`.
    func bytes(before next: UInt8) -> [UInt8] {
        switch self {
        case .hopByHop(let options), .destinationOptions(let options):
            let body = Self.padded(options)
            return [next, UInt8(truncatingIfNeeded: (body.count + 2) / 8 - 1)] + body
        case .routing(let type, let segmentsLeft):
            return [next, 0, type, segmentsLeft, 0, 0, 0, 0]
        case .fragment(var header):
            header.nextHeader = next
            var bytes: [UInt8] = []
            header.append(to: &bytes)
            return bytes
        case .authentication(let parameters, let sequence, let check):
            var bytes: [UInt8] = [next, UInt8(truncatingIfNeeded: 1 + check.count / 4), 0, 0]
            bytes.appendBigEndian(parameters)
            bytes.appendBigEndian(sequence)
            return bytes + check
        case .raw(_, let rest):
            return [next] + rest
        }
    }

    /// Options with Pad1 or PadN after them, so that with the two bytes before them they fill units
    /// of eight.
    private static func padded(_ options: [UInt8]) -> [UInt8] {
        let missing = (8 - (options.count + 2) % 8) % 8
        switch missing {
        case 0: return options
        case 1: return options + [0]
        default:
            let fill = [UInt8](repeating: 0, count: missing - 2)
            return options + [1, UInt8(missing - 2)] + fill
        }
    }
}
