internal import Conntrack
internal import LinuxCalls
internal import Wire

/// Entries of one protocol and state.
public struct StateCount: Sendable, Codable, Hashable {
    /// `tcp`, `udp`, …: the word `conntrack -L` starts a line with.
    public var proto: String
    /// TCP's state, as the kernel calls it; of others, whether a reply was seen.
    public var state: String
    public var count: Int

    public init(proto: String, state: String, count: Int) {
        self.proto = proto
        self.state = state
        self.count = count
    }

    /// As a listing would name it; `tcpState` is looked at for TCP alone, `hasReply` for the rest.
    public init(protocolNumber: UInt8, tcpState: UInt8, hasReply: Bool, count: Int) {
        let isTCP = protocolNumber == IPProtocol.tcp
        self.init(
            proto: ProtocolName.inTool(protocolNumber),
            state: isTCP ? StateName.tcp(tcpState) : hasReply ? "REPLIED" : "UNREPLIED",
            count: count)
    }
}

/// Counts a namespace's entries by state, by listing them all.
///
/// A listing makes the kernel remove expired entries, those of every namespace (spec gc.md §5): it
/// changes what is measured, so that nobody does it unasked or often.
struct TrackerStates: ~Copyable {
    private static let seenReply: UInt8 = 2

    private let socket: NetlinkSocket
    private var buffer = [UInt8](repeating: 0, count: 1 << 17)
    private var sequence: UInt32 = 0
    /// By protocol, and by state within it.
    private var counts = [Int](repeating: 0, count: 256 * 16)

    init() throws(SystemCallError) { socket = try NetlinkSocket(.netfilter) }

    /// Lists the entries, and sorts them.
    mutating func read() throws(SystemCallError) -> [StateCount] {
        sequence &+= 1
        for index in counts.indices { counts[index] = 0 }
        var writer = NetlinkWriter()
        writer.begin(type: 0x0101, flags: 0x301, sequence: sequence)  // GET, a dump
        writer.appendHeader([0, 0, 0, 0])
        writer.finish()
        try socket.send(writer.bytes.span)
        while let byteCount = try socket.receive(into: &buffer, waiting: true) {
            var messages = NetlinkMessages(byteCount: byteCount)
            while let message = messages.next(in: buffer) {
                guard message.sequence == sequence else { continue }
                let code = message.errorCode(in: buffer)
                guard code <= 0 else {
                    throw SystemCallError(call: "netlink, listing the table", code: code)
                }
                if message.isDone { return sums() }
                if !message.isError { take(message) }
            }
        }
        return sums()
    }

    /// Deletes every entry of the namespace.
    mutating func flush() throws(SystemCallError) {
        sequence &+= 1
        var writer = NetlinkWriter()
        writer.begin(type: 0x0102, flags: 5, sequence: sequence)  // DELETE, acknowledged
        writer.appendHeader([0, 0, 0, 0])
        writer.finish()
        try socket.send(writer.bytes.span)
        guard let byteCount = try socket.receive(into: &buffer, waiting: true) else { return }
        var messages = NetlinkMessages(byteCount: byteCount)
        while let message = messages.next(in: buffer) {
            let code = message.errorCode(in: buffer)
            guard code <= 0 else {
                throw SystemCallError(call: "netlink, emptying the table", code: code)
            }
        }
    }

    private mutating func take(_ message: NetlinkMessage) {
        guard message.payload.count >= 4 else { return }
        var proto = 0
        var state = 0
        var status: UInt8 = 0
        var attributes = NetlinkAttributes(message.payload.dropFirst(4))
        while let attribute = attributes.next(in: buffer) {
            switch attribute.type {
            case 1:
                if let part = nested(2, in: attribute.payload),
                    let number = nested(1, in: part), !number.isEmpty
                {
                    proto = Int(buffer[number.lowerBound])
                }
            case 3:
                if let last = attribute.payload.last { status = buffer[last] }
            case 4:
                if let tcp = nested(1, in: attribute.payload), let number = nested(1, in: tcp),
                    !number.isEmpty
                {
                    state = Int(buffer[number.lowerBound])
                }
            default: break
            }
        }
        if proto != 6 { state = status & Self.seenReply != 0 ? 1 : 0 }
        counts[proto * 16 + min(state, 15)] += 1
    }

    private func nested(_ type: UInt16, in stretch: Range<Int>) -> Range<Int>? {
        var attributes = NetlinkAttributes(stretch)
        while let attribute = attributes.next(in: buffer) {
            if attribute.type == type { return attribute.payload }
        }
        return nil
    }

    private func sums() -> [StateCount] {
        counts.indices.filter { counts[$0] > 0 }.map { place in
            let proto = UInt8(place / 16)
            let state = place % 16
            return StateCount(
                protocolNumber: proto, tcpState: UInt8(state), hasReply: state == 1,
                count: counts[place])
        }
    }
}
