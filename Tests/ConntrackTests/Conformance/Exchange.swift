import Testing
import Wire

@testable import Conntrack

// The language of the conformance tests. An exchange is one tracked machine between two hosts, O
// and R, and everything they say through it:
//
//     var x = Exchange()
//     x.o(.syn, "NEW SYN_SENT/120 U flags 00,00")
//     x.r(.synAck, "ESTABLISHED-reply SYN_RECV/60")
//     x.o(.ack, "ESTABLISHED ESTABLISHED/432000 A")
//
// The packets are real bytes; what is expected of each stands behind it in the specification's own
// notation (Expected.swift). Besides that, every packet is held to the rules that hold for all
// (Exchange+Rules.swift). A failure prints the whole conversation.

/// The two hosts, as the specification names them.
enum Host: String {
    case o = "O"
    case r = "R"

    var other: Host { self == .o ? .r : .o }
    var interface: InterfaceIndex { InterfaceIndex(self == .o ? 0 : 1) }
}

/// A tracked machine, the hosts on both sides of it, and what they have said so far.
struct Exchange: ~Copyable {
    var node: Node
    var now = Instant.start + .seconds(1)
    /// How much time passes before each packet.
    var step = Interval.milliseconds(20)
    var family = Family.ipv4
    var oPort: UInt16 = 1000
    var rPort: UInt16 = 80
    /// Raw window of every segment that does not say its own.
    var window: UInt16 = 65535
    /// The next sequence number of each host: what a segment gets that does not say its own.
    var next = [Host.o: UInt32(1000), .r: 5000]
    /// One line a packet or event.
    private(set) var conversation: [String] = []
    /// All events since the beginning.
    private(set) var events: [ConntrackEvent] = []
    /// Log texts of the last packet.
    private(set) var remarks: [String] = []
    /// How the machine's counters moved with the last packet.
    private(set) var counterChange = Counters()
    /// What the machine sent for the last packet.
    private(set) var transmissions: [Transmission] = []
    /// The last packet's outcome.
    private(set) var last = Observation()

    /// A machine with a listener that tracks everything, or what `rules` need.
    ///
    /// `sysctls` come under the kernel's names, on top of accounting.
    init(
        _ sysctls: KeyValuePairs<String, Int> = [:], rules: String? = nil,
        profile: KernelProfile = .linux618, at location: SourceLocation = #_sourceLocation
    ) {
        var configuration = NodeConfiguration()
        configuration.profile = profile
        configuration.tracking = rules == nil ? .always : .auto
        configuration.interfaces = [
            Interface(
                name: "o",
                addresses: [.v4(10, 1, 0, 1, length: 24), .v6("fd01::1", length: 64)]),
            Interface(
                name: "r",
                addresses: [.v4(10, 2, 0, 1, length: 24), .v6("fd02::1", length: 64)]),
        ]
        configuration.sysctl.buckets = 512
        configuration.sysctl.accounting = true
        for (name, value) in sysctls {
            Self.set(name, value, &configuration.sysctl, location)
        }
        if let rules { configuration.ruleset = Self.ruleset(rules, location) }
        node = Node(configuration)
        node.isListening = true
        node.table.journal.wantsRemarks = true
    }

    private static func set(
        _ name: String, _ value: Int, _ sysctl: inout Sysctl, _ location: SourceLocation
    ) {
        do {
            try sysctl.set(name, to: String(value))
        } catch {
            Issue.record("\(name) = \(value): \(error)", sourceLocation: location)
        }
    }

    private static func ruleset(_ text: String, _ location: SourceLocation) -> Ruleset {
        do {
            return try Ruleset(nftables: text, file: "rules", interfaces: ["o", "r"])
        } catch {
            Issue.record("\(error)", sourceLocation: location)
            return .empty
        }
    }

    /// Replaces the rules, as `nft -f` does; an empty text removes them all.
    mutating func replaceRules(
        with text: String, at location: SourceLocation = #_sourceLocation
    ) {
        node.replace(Self.ruleset(text, location))
        conversation.append("  rules \(text)")
    }

    /// Writes one setting, as `sysctl -w` does.
    mutating func sysctl(
        _ name: String, _ value: Int, at location: SourceLocation = #_sourceLocation
    ) {
        var sysctl = node.configuration.sysctl
        Self.set(name, value, &sysctl, location)
        node.apply(sysctl, at: now)
        conversation.append("  sysctl \(name) = \(value)")
    }

    // MARK: Time

    /// Lets time pass; the collector works meanwhile.
    mutating func wait(seconds: Double) {
        now = now + Interval(nanoseconds: Int64((seconds * 1e9).rounded()))
        node.advance(to: now)
        conversation.append("  … \(seconds) s")
        takeEvents()
    }

    // MARK: Hosts

    func address(of host: Host) -> Address {
        switch family {
        case .ipv4: Address(ipv4: host == .o ? 0x0a01_0002 : 0x0a02_0002)
        case .ipv6: Prefix.v6(host == .o ? "fd01::2" : "fd02::2", length: 128).address
        }
    }

    /// Builds packets from one host to the other.
    func builder(from host: Host) -> PacketBuilder {
        PacketBuilder(family, from: address(of: host), to: address(of: host.other))
    }

    // MARK: Packets

    /// Sends a whole packet through the machine and judges what became of it.
    @discardableResult
    mutating func send(
        _ bytes: [UInt8], from host: Host, called text: String, _ expected: Expected? = nil,
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        now = now + step
        node.advance(to: now)
        takeEvents()
        let before = Snapshot(of: bytes, in: node, at: now)
        let countersBefore = node.counters
        let delivery = node.receive(bytes.span, on: host.interface, at: now)
        transmissions = delivery.out
        counterChange = node.counters.change(since: countersBefore)
        remarks = node.journal.remarks.map(\.text.words)
        let isGone = before.isGone(from: node)
        last = Observation(
            delivery, before: isGone ? nil : before.entry, counterChange,
            clock: node.configuration.tickRate)
        conversation.append("\(clockText) \(host.rawValue) \(text)   ->   \(last)")
        takeEvents()
        if let problem = last.problem(with: expected) { fail(problem, at: location) }
        checkRefusal(delivery, at: location)
        if !isGone { checkEntry(before, delivery, at: location) }
        return last
    }

    /// Moves what the journal holds into `events` and the conversation.
    private mutating func takeEvents() {
        for event in node.journal.events {
            conversation.append("             event \(EventText(event, after: events))")
            events.append(event)
        }
        node.table.journal.clear()
    }

    private var clockText: String {
        let milliseconds = (now.nanoseconds + 500_000) / 1_000_000
        let seconds = String(milliseconds / 1000)
        let fraction = String(milliseconds % 1000 + 1000).dropFirst()
        return String(repeating: " ", count: max(0, 4 - seconds.count)) + seconds + "." + fraction
    }

    /// Writes a line into the conversation.
    mutating func note(_ text: String) { conversation.append("  " + text) }

    // MARK: Judgements

    /// Records an issue, with everything that was said.
    func fail(_ problem: String, at location: SourceLocation) {
        Issue.record(
            "\(problem)\n\(conversation.joined(separator: "\n"))", sourceLocation: location)
    }

    /// Holds a fact of the exchange to what it should be.
    func expect<Value: Equatable>(
        _ what: String, _ found: Value, _ wanted: Value,
        at location: SourceLocation = #_sourceLocation
    ) {
        guard found != wanted else { return }
        fail("\(what): found \(found), expected \(wanted)", at: location)
    }

    /// All events so far, in the notation of `EventText`.
    func expectEvents(_ wanted: [String], at location: SourceLocation = #_sourceLocation) {
        var seen: [ConntrackEvent] = []
        var texts: [String] = []
        for event in events {
            texts.append(String(describing: EventText(event, after: seen)))
            seen.append(event)
        }
        expect("events", texts, wanted, at: location)
    }

    /// Forgets the events so far, to look at what follows.
    mutating func forgetEvents() { events = [] }

    /// The log text the last packet gave, without protocol and packet dump; `nil`: none.
    func expectRemark(_ wanted: String?, at location: SourceLocation = #_sourceLocation) {
        expect("log", remarks, wanted.map { [$0] } ?? [], at: location)
    }

    /// The table as listed now, one observation's notation an entry.
    mutating func expectTable(
        _ wanted: [Expected], at location: SourceLocation = #_sourceLocation
    ) {
        let entries = node.list(at: now)
        takeEvents()
        expect("entries listed", entries.count, wanted.count, at: location)
        expect("count", Int(node.count), entries.count, at: location)
        for (entry, expected) in zip(entries, wanted) {
            let seen = Observation(listed: entry, clock: node.configuration.tickRate)
            if let problem = seen.problem(with: expected) { fail(problem, at: location) }
        }
    }
}

extension Prefix {
    static func v4(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, length: Int) -> Prefix {
        let value = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
        return Prefix(.ipv4, Address(ipv4: value), length: length)
    }

    static func v6(_ text: String, length: Int) -> Prefix {
        guard let (family, address) = Address.parse(text) else {
            preconditionFailure("'\(text)' is no address")
        }
        return Prefix(family, address, length: length)
    }
}
