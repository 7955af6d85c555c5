import Testing
import Wire

@testable import Conntrack

// The bench of the NAT and policy tests: the gateway of spec nat.md §10 between a client side and a
// server side. What goes in and what comes out are bytes; tests read and write them as text,
// "10.1.0.2:1000 > 10.2.0.2:80". Every packet that comes out has all of its checksums summed from
// scratch, with arithmetic that is not the model's.

/// A NAT gateway between 10.1.0.0/24 (clients) and 10.2.0.0/24 (servers).
///
/// A class, so that a test can put packets through it inside `#expect`.
final class NATBench {
    var node: Node
    private(set) var now = Instant(nanoseconds: 1_000_000_000)

    static let interfaces = [
        Interface(
            name: "cli",
            addresses: prefixes("10.1.0.1/24", "10.1.0.50/24", "10.1.0.51/24", "fd01::1/64")),
        Interface(
            name: "srv",
            addresses: prefixes(
                "10.2.0.1/24", "10.2.0.10/24", "10.2.0.11/24", "10.2.0.12/24", "10.2.0.13/24",
                "fd02::1/64")),
        Interface(name: "lo", addresses: prefixes("127.0.0.1/8", "::1/128")),
    ]

    /// A gateway with these rules; without any it tracks nothing, as the kernel.
    init(_ rules: String = "", configure: (inout NodeConfiguration) -> Void = { _ in }) throws {
        var configuration = NodeConfiguration()
        configuration.interfaces = Self.interfaces
        configuration.sysctl.max = 65_536
        configuration.sysctl.buckets = 4096
        configuration.sysctl.events = 1
        configure(&configuration)
        configuration.ruleset = try Self.ruleset(rules, configuration.interfaces)
        node = Node(configuration)
        node.isListening = true
    }

    static func ruleset(_ text: String, _ interfaces: [Interface]) throws -> Ruleset {
        try Ruleset(nftables: text, file: "test.nft", interfaces: interfaces.map(\.name))
    }

    /// Loads other rules, as `nft -f` does; connections stay.
    func replaceRules(_ rules: String) throws {
        node.replace(try Self.ruleset(rules, node.configuration.interfaces))
    }

    static func prefixes(_ texts: String...) -> [Prefix] {
        texts.map { text in
            guard let (family, address, length) = Address.parsePrefix(text) else {
                preconditionFailure("'\(text)' is no prefix")
            }
            return Prefix(family, address, length: length)
        }
    }

    // MARK: Time

    /// Lets time pass, and with it the collector.
    func wait(_ seconds: Double) {
        now = now + .milliseconds(Int64(seconds * 1000))
        node.advance(to: now)
    }

    // MARK: Packets

    /// A packet that arrives, by default on the side its source address belongs to.
    @discardableResult
    func pass(
        _ bytes: [UInt8], on interface: String? = nil,
        at location: SourceLocation = #_sourceLocation
    ) -> Passage {
        node.journal.clear()
        let ingress = interface.map(index(of:))
        let delivery = node.receive(bytes.span, on: ingress, at: now)
        return Passage(delivery, of: bytes, node.configuration.interfaces, location)
    }

    /// A packet the gateway sends itself.
    @discardableResult
    func emit(_ bytes: [UInt8], at location: SourceLocation = #_sourceLocation) -> Passage {
        node.journal.clear()
        let delivery = node.send(bytes.span, at: now)
        return Passage(delivery, of: bytes, node.configuration.interfaces, location)
    }

    /// What a socket of the gateway is handed of a packet that arrives for it, as text; `nil` where
    /// the packet goes elsewhere.
    func hear(
        _ bytes: [UInt8], fromNode: Bool = false, at location: SourceLocation = #_sourceLocation
    ) throws -> String? {
        node.journal.clear()
        var layout = PacketLayout()
        let arrived = try Packet(
            parsing: bytes.span, verifiesChecksum: !fromNode, layout: &layout)
        var packet = arrived
        if !fromNode { packet.inInterface = ingress(of: packet) }
        let end = fromNode ? node.send(&packet, at: now) : node.receive(&packet, at: now)
        guard end.verdict == .local else { return nil }
        var heard = bytes
        PacketRewriter.apply(from: arrived, to: packet, layout, bytes: &heard)
        PacketCheck.expectGoodChecksums(heard, from: bytes, location)
        return PacketText.of(heard)
    }

    private func ingress(of packet: Packet) -> InterfaceIndex {
        node.routing.ingress(of: packet.tuple.source, packet.tuple.family)
    }

    /// Where a packet is held while others pass.
    enum Place: CaseIterable {
        /// At the end of FORWARD, or before INPUT, as in a queue.
        case beforeLastHook
        /// At the last hook behind source translation, where no rule can hold one.
        case beforeConfirmation
    }

    /// A packet that is held.
    struct Held {
        let place: Place
        var packet: Packet
        fileprivate var arrived: Packet
        fileprivate var bytes: [UInt8]
        fileprivate var layout: PacketLayout
    }

    /// Takes a packet up to `place`: its new connection is not in the table yet.
    func hold(_ bytes: [UInt8], _ place: Place = .beforeLastHook) throws -> Held {
        var layout = PacketLayout()
        var packet = try Packet(parsing: bytes.span, verifiesChecksum: true, layout: &layout)
        packet.inInterface = ingress(of: packet)
        let arrived = packet
        var end = node.begin(&packet, at: now)
        if end == nil, place == .beforeConfirmation {
            end = node.reachConfirmation(&packet, at: now)
        }
        #expect(end == nil, "the packet should wait")
        return Held(
            place: place, packet: packet, arrived: arrived, bytes: bytes, layout: layout)
    }

    /// Takes a held packet through the rest of its way.
    ///
    /// Returns it as it leaves, or as a socket here is handed it, or why neither happens.
    func release(
        _ held: Held, at location: SourceLocation = #_sourceLocation
    ) -> String {
        node.journal.clear()
        var packet = held.packet
        let end =
            held.place == .beforeLastHook
            ? node.finish(&packet, at: now) : node.confirmAndLeave(&packet, at: now)
        if let reason = end.reason { return reason.rawValue }
        var bytes = held.bytes
        PacketRewriter.apply(from: held.arrived, to: packet, held.layout, bytes: &bytes)
        PacketCheck.expectGoodChecksums(bytes, from: held.bytes, location)
        return PacketText.of(bytes)
    }

    // MARK: What can be asked

    func index(of name: String) -> InterfaceIndex {
        let position = node.configuration.interfaces.firstIndex { $0.name == name }
        guard let position else { preconditionFailure("no interface '\(name)'") }
        return InterfaceIndex(UInt8(position))
    }

    /// How the counters move while something happens.
    func counting<Result>(_ body: () throws -> Result) rethrows -> (Result, [String: Int]) {
        let before = node.counters.named
        let result = try body()
        var changes: [String: Int] = [:]
        for (old, new) in zip(before, node.counters.named) where old.value != new.value {
            changes[old.name] = Int(new.value &- old.value)
        }
        return (result, changes)
    }

    /// The same for something whose result does not matter.
    func counters(of body: () throws -> Void) rethrows -> [String: Int] {
        try counting(body).1
    }

    /// The connections in the table as text, sorted: original and reply tuple.
    var table: [String] {
        node.list(at: now).map { "\(PacketText.of($0.original)) | \(PacketText.of($0.reply))" }
            .sorted()
    }

    /// The kinds of messages that listeners got since the last packet came.
    var events: [String] { node.journal.events.map(\.kind.name) }

    /// Deletes every connection, as `conntrack -F` does.
    func flush() { node.table.flush(node.namespace, at: node.moment(now)) }

    /// How many packets each `counter` of the rules has seen, in the order of the text.
    var ruleCounters: [Int] { node.ruleset.state.counters.map { Int($0.packets) } }
}

/// What became of one packet.
struct Passage {
    let verdict: Verdict
    let reason: DropReason?
    /// `new`, `established`, …, with `-reply` against the original direction.
    let state: String
    /// The packet as it left, or `nil` if it did not: one that left in pieces shows the first.
    let out: String?
    /// The interface it left by.
    let by: String?
    let bytes: [[UInt8]]
    let entry: Entry?

    init(
        _ delivery: Delivery, of input: [UInt8], _ interfaces: [Interface],
        _ location: SourceLocation
    ) {
        verdict = delivery.verdict
        reason = delivery.reason
        let suffix = delivery.info.direction == .reply ? "-reply" : ""
        state = delivery.info.state.rawValue + suffix
        bytes = delivery.out.map(\.bytes)
        by = delivery.out.first.map { interfaces[Int($0.interface.raw)].name }
        entry = delivery.entry
        if bytes.count == 1 {
            PacketCheck.expectGoodChecksums(bytes[0], from: input, location)
        }
        out = bytes.first.map(PacketText.of)
    }

    /// The reply tuple of its connection, as text.
    var reply: String? { entry.map { PacketText.of($0.reply) } }
    /// The source port, or id, it left with.
    var sourcePort: UInt16? { bytes.first.flatMap(PacketText.tuple)?.sourcePart }
    var destinationPort: UInt16? { bytes.first.flatMap(PacketText.tuple)?.destinationPart }
    var source: String? { bytes.first.flatMap(PacketText.tuple).map { $0.source.text($0.family) } }
    var destination: String? {
        bytes.first.flatMap(PacketText.tuple).map { $0.destination.text($0.family) }
    }
    /// The names of the NAT bits of its connection.
    var natBits: [String] { entry?.status.setNames.filter { $0.contains("NAT") } ?? [] }
}

/// Rulesets of one chain, put together by name.
enum Chain {
    static func postrouting(_ rules: String, _ family: String = "ip") -> String {
        nat("postrouting", 100, rules, family)
    }

    static func prerouting(_ rules: String, _ family: String = "ip") -> String {
        nat("prerouting", -100, rules, family)
    }

    static func output(_ rules: String, _ family: String = "ip") -> String {
        nat("output", -100, rules, family)
    }

    static func input(_ rules: String, _ family: String = "ip") -> String {
        nat("input", 100, rules, family)
    }

    static func filter(
        _ hook: String, _ priority: Int32 = 0, _ rules: String, family: String = "ip"
    ) -> String {
        base("filter", hook, priority, rules, family)
    }

    private static func nat(
        _ hook: String, _ priority: Int32, _ rules: String, _ family: String
    ) -> String {
        base("nat", hook, priority, rules, family)
    }

    private static func base(
        _ kind: String, _ hook: String, _ priority: Int32, _ rules: String, _ family: String
    ) -> String {
        let place = priority < 0 ? "m\(-priority)" : "p\(priority)"
        return """
            table \(family) \(kind)_\(hook)_\(place) {
                chain c {
                    type \(kind) hook \(hook) priority \(priority)
                    \(rules)
                }
            }

            """
    }
}
