internal import LinuxCalls

// nfnetlink_log: what the watch rules and the tracker itself say about a packet. Layouts are those
// of <linux/netfilter/nfnetlink_log.h>.

/// Listens to two log groups in the namespace it was made in: the one the tracker's remarks about
/// invalid packets go to, and the one the watch rules write to.
struct PacketLog: ~Copyable {
    /// The group the kernel itself logs to when nfnetlink_log is a family's logger.
    private static let kernelGroup: UInt16 = 0

    private let socket: NetlinkSocket
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    /// - Parameter watchGroup: The group of the watch rules.
    init(watchGroup: UInt16) throws(SystemCallError) {
        let socket = try NetlinkSocket(.netfilter, receiveBufferByteCount: 32 << 20)
        var buffer = [UInt8](repeating: 0, count: 4096)
        for group in [Self.kernelGroup, watchGroup] {
            // Bind; headers only, no packet bytes; every message at once.
            try Self.configure(group, on: socket, &buffer) { $0.attribute(1, byte: 1) }
            try Self.configure(group, on: socket, &buffer) {
                $0.attribute(2, [0, 0, 0, 0, 1, 0])
                $0.attribute(5, bigEndian: UInt32(1))
            }
        }
        self.socket = socket
    }

    /// The prefixes of the messages since the last call, in order; never waits.
    mutating func drain() throws(SystemCallError) -> [String] {
        var prefixes: [String] = []
        while let byteCount = try socket.receive(into: &buffer) {
            var messages = NetlinkMessages(byteCount: byteCount)
            while let message = messages.next(in: buffer) {
                if let prefix = prefix(of: message) { prefixes.append(prefix) }
            }
        }
        return prefixes
    }

    private func prefix(of message: NetlinkMessage) -> String? {
        guard message.type == 4 << 8, message.payload.count >= 4 else { return nil }
        var attributes = NetlinkAttributes(message.payload.dropFirst(4))
        while let attribute = attributes.next(in: buffer) {
            guard attribute.type == 10 else { continue }
            let text = buffer[attribute.payload].prefix { $0 != 0 && $0 != UInt8(ascii: "\n") }
            let end = text.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 }
            return String(decoding: text[..<(end ?? text.startIndex)], as: UTF8.self)
        }
        return nil
    }

    private static func configure(
        _ group: UInt16, on socket: borrowing NetlinkSocket, _ buffer: inout [UInt8],
        _ attributes: (inout NetlinkWriter) -> Void
    ) throws(SystemCallError) {
        var writer = NetlinkWriter()
        writer.begin(type: 4 << 8 | 1, flags: 5, sequence: 1)  // REQUEST, ACK
        writer.appendHeader([0, 0, UInt8(group >> 8), UInt8(group & 0xFF)])
        attributes(&writer)
        writer.finish()
        try socket.send(writer.bytes.span)
        guard let byteCount = try socket.receive(into: &buffer, waiting: true) else { return }
        var messages = NetlinkMessages(byteCount: byteCount)
        while let message = messages.next(in: buffer) {
            let code = message.errorCode(in: buffer)
            if code != 0 { throw SystemCallError(call: "nfnetlink_log group \(group)", code: code) }
        }
    }
}
