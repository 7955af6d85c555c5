internal import LinuxCalls
internal import Report
internal import Wire

// ctnetlink: the kernel's own account of its table. Two sockets: one listens to the events, one
// asks about entries. Layouts are those of <linux/netfilter/nfnetlink_conntrack.h>.

private enum Subsystem {
    static let conntrack: UInt16 = 1 << 8
}

/// The `IPCTNL_MSG_CT_*` in use here.
private enum MessageKind {
    static let new: UInt16 = Subsystem.conntrack | 0
    static let get: UInt16 = Subsystem.conntrack | 1
    static let delete: UInt16 = Subsystem.conntrack | 2
}

private enum Flag {
    static let request: UInt16 = 1
    static let acknowledge: UInt16 = 4
    static let dump: UInt16 = 0x300
    /// `NLM_F_CREATE`: tells a NEW event from an UPDATE.
    static let create: UInt16 = 0x400
}

/// Listens to the table's events in the namespace it was made in.
struct ConntrackEvents: ~Copyable {
    private let socket: NetlinkSocket
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init() throws(SystemCallError) {
        let socket = try NetlinkSocket(.netfilter, receiveBufferByteCount: 32 << 20)
        for group: Int32 in 1...3 { try socket.join(group: group) }  // NEW, UPDATE, DESTROY
        self.socket = socket
    }

    /// The events that have happened since the last call, in order; never waits.
    mutating func drain() throws(SystemCallError) -> [EventRecord] {
        var events: [EventRecord] = []
        while let byteCount = try socket.receive(into: &buffer) {
            var messages = NetlinkMessages(byteCount: byteCount)
            while let message = messages.next(in: buffer) {
                guard let type = Self.type(of: message) else { continue }
                guard let entry = EntryReader.entry(in: buffer, message) else { continue }
                events.append(EventRecord(type: type, entry: entry.record))
            }
        }
        return events
    }

    private static func type(of message: NetlinkMessage) -> String? {
        switch message.type {
        case MessageKind.new: message.flags & Flag.create != 0 ? "NEW" : "UPDATE"
        case MessageKind.delete: "DESTROY"
        default: nil
        }
    }
}

/// Asks about, lists and deletes entries of the namespace it was made in.
struct ConntrackTable: ~Copyable {
    private let socket: NetlinkSocket
    private var buffer = [UInt8](repeating: 0, count: 1 << 17)
    private var writer = NetlinkWriter()
    private var sequence: UInt32 = 0

    init() throws(SystemCallError) { socket = try NetlinkSocket(.netfilter) }

    /// The entry one of whose tuples is `tuple`, or `nil`.
    ///
    /// Looking removes expired entries from the bucket it walks, so the caller asks only where the
    /// packet itself has just walked it.
    mutating func entry(for tuple: FlowTuple, zone: UInt16 = 0) throws(SystemCallError)
        -> KernelEntry?
    {
        begin(MessageKind.get, Flag.request, tuple.family.rawValue)
        writer.nested(1) { Self.write(tuple, to: &$0) }
        if zone != 0 { writer.attribute(18, bigEndian: zone) }
        writer.finish()
        try socket.send(writer.bytes.span)
        while let byteCount = try socket.receive(into: &buffer) {
            var messages = NetlinkMessages(byteCount: byteCount)
            while let message = messages.next(in: buffer) {
                guard message.sequence == sequence else { continue }
                guard message.type == MessageKind.new else { return nil }
                return EntryReader.entry(in: buffer, message)
            }
        }
        return nil
    }

    /// Every entry, in the order of `conntrack -L`; removes the expired ones.
    mutating func dump() throws(SystemCallError) -> [KernelEntry] {
        var entries: [KernelEntry] = []
        begin(MessageKind.get, Flag.request | Flag.dump, 0)
        writer.finish()
        try socket.send(writer.bytes.span)
        while let byteCount = try socket.receive(into: &buffer, waiting: true) {
            var messages = NetlinkMessages(byteCount: byteCount)
            while let message = messages.next(in: buffer) {
                guard message.sequence == sequence else { continue }
                if message.isDone || message.isError { return entries }
                if let entry = EntryReader.entry(in: buffer, message) { entries.append(entry) }
            }
        }
        return entries
    }

    /// Deletes every entry.
    mutating func flush() throws(SystemCallError) {
        begin(MessageKind.delete, Flag.request | Flag.acknowledge, 0)
        writer.finish()
        try socket.send(writer.bytes.span)
        _ = try socket.receive(into: &buffer, waiting: true)
    }

    private mutating func begin(_ kind: UInt16, _ flags: UInt16, _ family: UInt8) {
        sequence &+= 1
        writer.begin(type: kind, flags: flags, sequence: sequence)
        writer.appendHeader([family, 0, 0, 0])
    }

    private static func write(_ tuple: FlowTuple, to writer: inout NetlinkWriter) {
        writer.nested(1) {
            let isIPv4 = tuple.family == .ipv4
            $0.attribute(isIPv4 ? 1 : 3, bytes(tuple.source, tuple.family))
            $0.attribute(isIPv4 ? 2 : 4, bytes(tuple.destination, tuple.family))
        }
        writer.nested(2) {
            $0.attribute(1, byte: tuple.protocolNumber)
            if tuple.isICMP {
                let shift: UInt16 = tuple.family == .ipv4 ? 0 : 3
                $0.attribute(4 + shift, bigEndian: tuple.first)
                $0.attribute(5 + shift, byte: UInt8(tuple.second >> 8))
                $0.attribute(6 + shift, byte: UInt8(tuple.second & 0xFF))
            } else if FlowTuple.hasPorts(tuple.protocolNumber)
                || tuple.protocolNumber == IPProtocol.gre
            {
                $0.attribute(2, bigEndian: tuple.first)
                $0.attribute(3, bigEndian: tuple.second)
            }
        }
    }

    private static func bytes(_ address: Address, _ family: Family) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: family.addressBits / 8)
        bytes.setAddress(address, family, at: 0)
        return bytes
    }
}
