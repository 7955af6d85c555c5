import LiveKernel
import Report
import Scenario
import Testing
import Verify
import Wire

// The language of the two-arm tests: the one of the conformance tests, spoken to two machines.
//
//     var x = try TwoArmExchange()
//     try x.o(.syn, seq: 0, "NEW SYN_SENT U")
//     try x.r(.synAck, seq: 0, ack: 1, "ESTABLISHED-reply SYN_RECV")
//
// Each packet goes through the live kernel and through the model. Whatever they say differently is a
// failure, and so is a live kernel that does something else than the words behind the packet say.

/// A machine with the host O on one side and R on the other, on the live kernel and on the model.
struct TwoArmExchange: ~Copyable {
    /// The two hosts, as the specification names them.
    enum Host: String {
        case o = "O"
        case r = "R"

        var other: Host { self == .o ? .r : .o }
    }

    private(set) var arms: TwoArms
    private let family: Family
    private var nanoseconds: UInt64 = 0
    private var conversation: [String] = []
    /// What both arms did with the last packet.
    private(set) var last: TwoArms.Step?
    /// The types of the live kernel's events so far.
    private(set) var events: [String] = []
    /// The next sequence number of each host: what a segment gets that does not say its own.
    var next = [Host.o: UInt32(0), .r: 0]
    /// Packets the live kernel refused, and those it found INVALID.
    private(set) var refused = 0
    private(set) var invalid = 0

    /// A machine between 10.1.0.0/16 with O and 10.2.0.0/16 with R.
    ///
    /// - Parameters:
    ///   - family: Of O and R.
    ///   - sysctls: Under the kernel's names, on top of accounting.
    ///   - rules: nftables text; without it everything is tracked.
    ///   - interfaces: Lines of a node file, in place of the two.
    init(
        _ family: Family = .ipv4, sysctls: KeyValuePairs<String, Int> = [:], rules: String = "",
        interfaces: [String] = [
            "o: { addresses: [10.1.0.1/16, 'fd01::1/64'] }",
            "r: { addresses: [10.2.0.1/16, 'fd02::1/64'], default: true }",
        ]
    ) throws {
        var lines = ["version: 1", "tracking: \(rules.isEmpty ? "always" : "auto")"]
        lines.append("interfaces:")
        lines += interfaces.map { "  " + $0 }
        lines.append("sysctl:")
        lines.append("  nf_conntrack_acct: 1")
        lines += sysctls.map { "  \($0.key): \($0.value)" }
        if !rules.isEmpty {
            lines.append("ruleset: |")
            lines += rules.split(separator: "\n").map { "  " + $0 }
        }
        let text = lines.joined(separator: "\n") + "\n"
        arms = try TwoArms(NodeFile.parse(text, file: "node"))
        self.family = family
    }

    func address(of host: Host) throws -> Address {
        let text =
            switch family {
            case .ipv4: host == .o ? "10.1.0.2" : "10.2.0.2"
            case .ipv6: host == .o ? "fd01::2" : "fd02::2"
            }
        return try #require(Address.parse(text)).1
    }

    // MARK: Packets

    /// Sends a packet through both arms.
    ///
    /// - Parameter expected: What the live kernel should do with it, in the words of `Sight`.
    @discardableResult
    mutating func send(
        _ bytes: [UInt8], called text: String, on interface: String? = nil,
        _ expected: String? = nil, at location: SourceLocation = #_sourceLocation
    ) throws -> TwoArms.Step {
        nanoseconds += 1000
        let step = try arms.send(
            TracePacket(nanoseconds: nanoseconds, bytes: bytes, interface: interface))
        last = step
        events += ((step.live.before?.events ?? []) + (step.live.events ?? [])).map(\.type)
        refused += step.live.counters?["drop"] ?? 0
        invalid += step.live.counters?["invalid"] ?? 0
        let sight = Sight.text(step.live)
        conversation.append("\(text)   ->   \(sight)")
        if !step.differences.isEmpty {
            let lines = DifferenceText(isColoured: false, interfaceNames: [])
                .lines(step.differences)
            fail("the arms differ\n\(lines.joined(separator: "\n"))", at: location)
        }
        if let expected, sight != expected {
            fail("found '\(sight)', expected '\(expected)'", at: location)
        }
        return step
    }

    /// O sends a segment.
    mutating func o(
        _ flags: TCPFlags, seq: UInt32? = nil, ack: UInt32? = nil, win: UInt16 = 65_535,
        length: Int = 0, with options: [TCPOption] = [], _ expected: String,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        try segment(
            .o, flags, seq: seq, ack: ack, win: win, length: length, with: options, expected,
            at: location)
    }

    /// R sends a segment.
    mutating func r(
        _ flags: TCPFlags, seq: UInt32? = nil, ack: UInt32? = nil, win: UInt16 = 65_535,
        length: Int = 0, with options: [TCPOption] = [], _ expected: String,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        try segment(
            .r, flags, seq: seq, ack: ack, win: win, length: length, with: options, expected,
            at: location)
    }

    private mutating func segment(
        _ host: Host, _ flags: TCPFlags, seq: UInt32?, ack: UInt32?, win: UInt16, length: Int,
        with options: [TCPOption], _ expected: String, at location: SourceLocation
    ) throws {
        let sequence = seq ?? next[host, default: 0]
        let answered = flags.contains(.ack) ? next[host.other, default: 0] : 0
        if seq == nil {
            next[host] =
                sequence &+ UInt32(length) &+ (flags.contains(.syn) ? 1 : 0)
                &+ (flags.contains(.fin) ? 1 : 0)
        }
        let bytes = PacketBuilder(
            family, from: try address(of: host), to: try address(of: host.other)
        ).tcp(
            from: host == .o ? 1000 : 80, to: host == .o ? 80 : 1000, flags: flags,
            sequence: sequence, acknowledgment: ack ?? answered, window: win, options: options,
            payload: [UInt8](repeating: 0x61, count: length))
        let text =
            "\(host.rawValue) flags \(flags.rawValue) seq \(sequence) ack \(ack ?? answered) "
            + "win \(win) length \(length)"
        try send(bytes, called: text, expected, at: location)
    }

    /// Lets real time pass before the next packet.
    mutating func pause(seconds: Double) {
        nanoseconds += UInt64(seconds * 1e9)
        conversation.append("… \(seconds) s")
    }

    mutating func replaceRules(with text: String) throws {
        try arms.replaceRules(with: text)
        conversation.append("rules \(text)")
    }

    // MARK: Judgements

    /// The live kernel's entry of the last packet has counted so many, original direction first.
    func expectPackets(
        _ packets: [Int], _ what: String, at location: SourceLocation = #_sourceLocation
    ) {
        guard last?.live.entry?.packets != packets else { return }
        let found = last?.live.entry?.packets.map { "\($0)" } ?? "none"
        fail("\(what): found packets \(found), expected \(packets)", at: location)
    }

    /// The tables are the same at the end.
    mutating func expectSameTables(at location: SourceLocation = #_sourceLocation) throws {
        let differences = try arms.compareTables()
        guard !differences.isEmpty else { return }
        let lines = DifferenceText(isColoured: false, interfaceNames: []).lines(differences)
        fail("the tables differ\n\(lines.joined(separator: "\n"))", at: location)
    }

    private func fail(_ problem: String, at location: SourceLocation) {
        let story = conversation.suffix(60).joined(separator: "\n")
        Issue.record("\(problem)\n\(story)", sourceLocation: location)
    }
}

extension TCPFlags {
    static let synAck: TCPFlags = [.syn, .ack]
    static let finAck: TCPFlags = [.fin, .ack]
    static let rstAck: TCPFlags = [.rst, .ack]
    static let pshAck: TCPFlags = [.psh, .ack]
}

/// What became of a packet on the live kernel, in the specification's words.
///
/// `ESTABLISHED-reply SYN_RECV`: its class and its entry's state; behind that `U` (unreplied) or `A`
/// (assured); `gone` is no entry. Then the verdict, if it is not "forwarded".
enum Sight {
    static func text(_ outcome: PacketOutcome) -> String {
        var words = [outcome.state.uppercased()]
        if outcome.direction == "reply" { words[0] += "-reply" }
        if let entry = outcome.entry {
            if let tcp = entry.tcp { words.append(tcp.state) }
            if entry.status.contains("ASSURED") {
                words.append("A")
            } else if !entry.status.contains("SEEN_REPLY") {
                words.append("U")
            }
        } else {
            words.append("gone")
        }
        if outcome.verdict != "forwarded" { words.append(outcome.verdict) }
        return words.joined(separator: " ")
    }
}
