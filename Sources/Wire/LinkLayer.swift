// From a captured frame to the network layer in it.

/// The link types that are read (LINKTYPE_ numbers of tcpdump.org).
public enum LinkType: UInt16, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case null = 0
    case ethernet = 1
    /// What some systems wrote for `raw`.
    case rawBSD = 12
    case rawOpenBSD = 14
    case raw = 101
    case loop = 108
    case linuxCooked = 113
    case ipv4 = 228
    case ipv6 = 229
    case linuxCooked2 = 276
}

/// What a captured frame carries.
public enum FrameContent: Sendable, Hashable, BitwiseCopyable {
    case ipv4
    case ipv6
    /// Another protocol, by its EtherType; 0 where the link names none.
    case other(UInt16)
    /// Too short for its own link header.
    case malformed
}

extension LinkType {
    private static let etherTypeIPv4: UInt16 = 0x0800
    private static let etherTypeIPv6: UInt16 = 0x86dd

    /// What `frame` carries, and after how many bytes; the offset never lies beyond the frame.
    public func locate(in frame: Span<UInt8>) -> (content: FrameContent, offset: Int) {
        switch self {
        case .ethernet: Self.etherType(in: frame, at: 12)
        case .linuxCooked: Self.etherType(in: frame, at: 14)
        case .linuxCooked2: Self.etherType(in: frame, at: 0, headerByteCount: 20)
        case .ipv4: (.ipv4, 0)
        case .ipv6: (.ipv6, 0)
        case .raw, .rawBSD, .rawOpenBSD: Self.rawContent(of: frame)
        case .null, .loop: Self.addressFamily(in: frame)
        }
    }

    /// Reads an EtherType and skips VLAN tags (802.1Q, 802.1ad) after it.
    private static func etherType(
        in frame: Span<UInt8>, at position: Int, headerByteCount: Int? = nil
    ) -> (content: FrameContent, offset: Int) {
        var offset = headerByteCount ?? position + 2
        guard offset <= frame.count else { return (.malformed, frame.count) }
        var type = frame.bigEndianUInt16(at: position)
        while type == 0x8100 || type == 0x88a8 || type == 0x9100 {
            guard offset + 4 <= frame.count else { return (.malformed, frame.count) }
            type = frame.bigEndianUInt16(at: offset + 2)
            offset += 4
        }
        switch type {
        case etherTypeIPv4: return (.ipv4, offset)
        case etherTypeIPv6: return (.ipv6, offset)
        default: return (.other(type), offset)
        }
    }

    /// The first four bits tell.
    private static func rawContent(of frame: Span<UInt8>) -> (content: FrameContent, offset: Int) {
        guard !frame.isEmpty else { return (.malformed, 0) }
        switch frame[0] >> 4 {
        case 4: return (.ipv4, 0)
        case 6: return (.ipv6, 0)
        default: return (.other(0), 0)
        }
    }

    /// Four bytes of address family, in network order (LOOP) or in that of the capturing host
    /// (NULL), whose number for IPv6 depends on the system.
    private static func addressFamily(
        in frame: Span<UInt8>
    ) -> (content: FrameContent, offset: Int) {
        guard frame.count >= 4 else { return (.malformed, frame.count) }
        let word = frame.bigEndianUInt32(at: 0)
        // Families are small numbers, so the order of the bytes shows.
        switch word > 0xffff ? word.byteSwapped : word {
        case 2: return (.ipv4, 4)
        case 10, 24, 28, 30: return (.ipv6, 4)
        default: return (.other(0), 4)
        }
    }
}
