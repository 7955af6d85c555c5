// What a router does with the options of an IPv4 header (RFC 791 §3.1, RFC 2113): some it refuses,
// some it fills in. Every rule here was observed on Linux 6.18 with accept_source_route = 0.

/// The options of an arriving and of a forwarded IPv4 packet.
public enum IPv4Options {
    private static let endOfList: UInt8 = 0
    private static let noOperation: UInt8 = 1
    private static let recordRoute: UInt8 = 7
    private static let timestamp: UInt8 = 68
    private static let looseSourceRoute: UInt8 = 131
    private static let commercialSecurity: UInt8 = 134
    private static let strictSourceRoute: UInt8 = 137
    private static let routerAlert: UInt8 = 148

    /// Whether routing lets a packet with these options go on.
    ///
    /// Refused are lengths that do not fit, pointers that point nowhere, a second record route or
    /// timestamp, source routes, and security labels.
    public static func areAcceptable(_ options: Span<UInt8>) -> Bool {
        var index = 0
        var seen: (route: Bool, time: Bool) = (false, false)
        while index < options.count {
            let type = options[index]
            if type == endOfList { return true }
            if type == noOperation {
                index += 1
                continue
            }
            guard index + 1 < options.count else { return false }
            let length = Int(options[index + 1])
            guard length >= 2, index + length <= options.count else { return false }
            let option = options.extracting(index..<index + length)
            switch type {
            case looseSourceRoute, strictSourceRoute, commercialSecurity: return false
            case recordRoute:
                guard !seen.route, isRoute(option) else { return false }
                seen.route = true
            case timestamp:
                guard !seen.time, isTimestamp(option) else { return false }
                seen.time = true
            case routerAlert where length < 4: return false
            default: break
            }
            index += length
        }
        return true
    }

    private static func isRoute(_ option: Span<UInt8>) -> Bool {
        guard option.count >= 3, option[2] >= 4 else { return false }
        let pointer = Int(option[2])
        return pointer > option.count || pointer + 3 <= option.count
    }

    private static func isTimestamp(_ option: Span<UInt8>) -> Bool {
        guard option.count >= 4, option[2] >= 5 else { return false }
        let pointer = Int(option[2])
        guard pointer <= option.count else { return option[3] >> 4 < 15 }
        // With addresses (flag 1 and 3) an entry takes eight bytes instead of four.
        let entry = option[3] & 0xf == 0 ? 4 : 8
        return pointer + entry - 1 <= option.count
    }

    /// Changes a packet's options as forwarding does: the egress address into a record route, the
    /// time into a timestamp, zeros behind the end of the list.
    ///
    /// The header checksum follows.
    ///
    /// The packet's options have been found acceptable.
    public static func forward(
        _ packet: inout [UInt8], from egress: Address, millisecondsOfDay: UInt32
    ) {
        let end = Int(packet[0] & 0xf) * 4
        guard end > IPv4Header.minimumByteCount, end <= packet.count else { return }
        var index = IPv4Header.minimumByteCount
        while index < end {
            let type = packet[index]
            if type == endOfList {
                for padding in index..<end { packet[padding] = 0 }
                break
            }
            if type == noOperation {
                index += 1
                continue
            }
            guard index + 1 < end, packet[index + 1] >= 2 else { break }
            let length = Int(packet[index + 1])
            guard index + length <= end else { break }
            if type == recordRoute, let place = room(in: packet, index, length, for: 4) {
                packet.setAddress(egress, .ipv4, at: place)
                packet[index + 2] += 4
            } else if type == timestamp, length >= 4 {
                stamp(&packet, index, length, egress, millisecondsOfDay)
            }
            index += length
        }
        IPv4Header.setChecksum(in: &packet)
    }

    /// The options of an ICMP error about a packet whose options routing has filled in.
    ///
    /// A record route and a timestamp come back, in this order, and go on being filled in; nothing
    /// else does.
    public static func answering(
        _ packet: [UInt8], from source: Address, millisecondsOfDay: UInt32
    ) -> [UInt8] {
        var header = Array(packet.prefix(IPv4Header.minimumByteCount))
        guard header.count == IPv4Header.minimumByteCount else { return [] }
        for wanted in [recordRoute, timestamp] {
            if let option = option(wanted, in: packet) { header += packet[option] }
        }
        guard header.count > IPv4Header.minimumByteCount else { return [] }
        header += [UInt8](repeating: 0, count: (4 - header.count % 4) % 4)
        header[0] = 0x40 | UInt8(header.count / 4)
        forward(&header, from: source, millisecondsOfDay: millisecondsOfDay)
        return Array(header.dropFirst(IPv4Header.minimumByteCount))
    }

    /// Where the first option of a type stands.
    private static func option(_ wanted: UInt8, in packet: [UInt8]) -> Range<Int>? {
        let end = min(Int(packet[0] & 0xf) * 4, packet.count)
        var index = IPv4Header.minimumByteCount
        while index < end, packet[index] != endOfList {
            if packet[index] == noOperation {
                index += 1
                continue
            }
            guard index + 1 < end, packet[index + 1] >= 2, index + Int(packet[index + 1]) <= end
            else { return nil }
            let length = Int(packet[index + 1])
            if packet[index] == wanted { return index..<index + length }
            index += length
        }
        return nil
    }

    /// Where the pointer of the option at `index` points, if `byteCount` bytes fit there.
    private static func room(
        in packet: [UInt8], _ index: Int, _ length: Int, for byteCount: Int
    ) -> Int? {
        guard length >= 3 else { return nil }
        let pointer = Int(packet[index + 2])
        guard pointer >= 4, pointer + byteCount - 1 <= length else { return nil }
        return index + pointer - 1
    }

    private static func stamp(
        _ packet: inout [UInt8], _ index: Int, _ length: Int, _ egress: Address, _ time: UInt32
    ) {
        let withAddress = packet[index + 3] & 0xf == 1
        if Int(packet[index + 2]) > length {
            packet[index + 3] += 0x10  // One more that found no room.
        } else if withAddress, let place = room(in: packet, index, length, for: 8) {
            packet.setAddress(egress, .ipv4, at: place)
            packet.setBigEndian(time, at: place + 4)
            packet[index + 2] += 8
        } else if packet[index + 3] & 0xf == 0, let place = room(in: packet, index, length, for: 4)
        {
            packet.setBigEndian(time, at: place)
            packet[index + 2] += 4
        }
    }
}
