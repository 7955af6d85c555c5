import Testing
import Wire

@testable import Conntrack

// TCP between O and R. A segment that does not say otherwise has its host's next sequence number
// and acknowledges the other's next; only such segments move the number on.

extension TCPFlags {
    static let synAck: TCPFlags = [.syn, .ack]
    static let finAck: TCPFlags = [.fin, .ack]
    static let rstAck: TCPFlags = [.rst, .ack]
    static let pshAck: TCPFlags = [.psh, .ack]

    var text: String {
        let names: [(TCPFlags, String)] = [
            (.fin, "FIN"), (.syn, "SYN"), (.rst, "RST"), (.psh, "PSH"), (.ack, "ACK"),
            (.urg, "URG"), (.ece, "ECE"), (.cwr, "CWR"),
        ]
        let set = names.filter { contains($0.0) }.map(\.1)
        return set.isEmpty ? "no flags" : set.joined(separator: "+")
    }
}

/// The options of one segment.
///
/// With none of them the header has 20 bytes.
struct SegmentOptions {
    var list: [TCPOption] = []

    static let none = SegmentOptions()
    /// SACK-permitted and window scale, padded as stacks do.
    static func full(_ shift: UInt8) -> SegmentOptions { sackPermitted.scale(shift) }
    static let sackPermitted = SegmentOptions(list: [.sackPermitted, .noOperation, .noOperation])
    static func scale(_ shift: UInt8) -> SegmentOptions { none.scale(shift) }
    static let maximumSegmentSize = SegmentOptions(list: [.maximumSegmentSize(1460)])
    static func sack(_ blocks: (left: UInt32, right: UInt32)...) -> SegmentOptions {
        SegmentOptions(list: [
            .noOperation, .noOperation,
            .sack(blocks.map { TCPOption.SACKBlock(left: $0.left, right: $0.right) }),
        ])
    }

    func scale(_ shift: UInt8) -> SegmentOptions {
        SegmentOptions(list: list + [.windowScale(shift), .noOperation])
    }

    var text: String { list.isEmpty ? "" : " <\(list.compactMap(\.text).joined(separator: " "))>" }
}

extension TCPOption {
    fileprivate var text: String? {
        switch self {
        case .endOfList, .noOperation: nil
        case .maximumSegmentSize(let size): "mss \(size)"
        case .windowScale(let shift): "ws \(shift)"
        case .sackPermitted: "sackOK"
        case .sack(let blocks):
            "sack " + blocks.map { "\($0.left)-\($0.right)" }.joined(separator: ",")
        case .timestamps: "ts"
        case .raw(let bytes): "raw \(bytes)"
        }
    }
}

extension Exchange {
    /// O sends a segment.
    @discardableResult
    mutating func o(
        _ flags: TCPFlags, seq: UInt32? = nil, ack: UInt32? = nil, win: UInt16? = nil,
        length: Int = 0, with options: SegmentOptions = .none, _ expected: Expected? = nil,
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        segment(
            .o, flags, seq: seq, ack: ack, win: win, length: length, with: options, expected,
            at: location)
    }

    /// R sends a segment.
    @discardableResult
    mutating func r(
        _ flags: TCPFlags, seq: UInt32? = nil, ack: UInt32? = nil, win: UInt16? = nil,
        length: Int = 0, with options: SegmentOptions = .none, _ expected: Expected? = nil,
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        segment(
            .r, flags, seq: seq, ack: ack, win: win, length: length, with: options, expected,
            at: location)
    }

    /// Sends a segment.
    ///
    /// `ack` without the ACK flag fills the field nevertheless; `overrides` makes the packet wrong.
    @discardableResult
    mutating func segment(
        _ host: Host, _ flags: TCPFlags, seq: UInt32? = nil, ack: UInt32? = nil,
        win: UInt16? = nil, length: Int = 0, with options: SegmentOptions = .none,
        _ expected: Expected? = nil, overrides: PacketBuilder.Overrides = .init(),
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        let sequence = seq ?? next[host, default: 0]
        let answered = flags.contains(.ack) ? next[host.other, default: 0] : 0
        let acknowledgment = ack ?? answered
        if seq == nil {
            next[host] =
                sequence &+ UInt32(length) &+ (flags.contains(.syn) ? 1 : 0)
                &+ (flags.contains(.fin) ? 1 : 0)
        }
        var builder = builder(from: host)
        builder.overrides = overrides
        let bytes = builder.tcp(
            from: host == .o ? oPort : rPort, to: host == .o ? rPort : oPort, flags: flags,
            sequence: sequence, acknowledgment: acknowledgment, window: win ?? window,
            options: options.list, payload: [UInt8](repeating: 0x61, count: length))
        var text = "\(flags.text) seq \(sequence)"
        if flags.contains(.ack) || ack != nil { text += " ack \(acknowledgment)" }
        text += " win \(win ?? window)"
        if length > 0 { text += " length \(length)" }
        return send(bytes, from: host, called: text + options.text, expected, at: location)
    }

    // MARK: Openings

    /// The specification's `est`: a complete handshake with SACK and scales 7/7, ISNs 1000/5000.
    static func established(
        _ sysctls: KeyValuePairs<String, Int> = [:], profile: KernelProfile = .linux618,
        at location: SourceLocation = #_sourceLocation
    ) -> Exchange {
        var x = Exchange(sysctls, profile: profile)
        x.shakeHands(.full(7), .full(7), at: location)
        return x
    }

    /// The specification's `plain`: no options, windows 1000.
    static func plain(
        _ sysctls: KeyValuePairs<String, Int> = [:], at location: SourceLocation = #_sourceLocation
    ) -> Exchange {
        var x = Exchange(sysctls)
        x.window = 1000
        x.shakeHands(.none, .none, at: location)
        return x
    }

    /// SYN and SYN-ACK, with scales 7/7 and SACK.
    static func synReceived(at location: SourceLocation = #_sourceLocation) -> Exchange {
        var x = Exchange()
        x.o(.syn, with: .full(7), at: location)
        x.r(.synAck, with: .full(7), "SYN_RECV/60", at: location)
        return x
    }

    /// `est`, then FIN and ACK from both sides.
    static func timeWait(at location: SourceLocation = #_sourceLocation) -> Exchange {
        var x = Exchange.established(at: location)
        x.o(.finAck, "FIN_WAIT/120 A", at: location)
        x.r(.ack, "CLOSE_WAIT/60 A", at: location)
        x.r(.finAck, "LAST_ACK/30 A", at: location)
        x.o(.ack, "TIME_WAIT/120 A", at: location)
        return x
    }

    mutating func shakeHands(
        _ opener: SegmentOptions, _ answerer: SegmentOptions,
        at location: SourceLocation = #_sourceLocation
    ) {
        o(.syn, with: opener, "NEW SYN_SENT/120 U", at: location)
        r(.synAck, with: answerer, "ESTABLISHED-reply SYN_RECV/60", at: location)
        o(.ack, "ESTABLISHED ESTABLISHED/432000 A", at: location)
    }

    // MARK: What only the tracker knows

    /// The tuple of O's segments.
    var tuple: Tuple {
        Tuple(
            family, IPProtocol.tcp, source: address(of: .o), oPort,
            destination: address(of: .r), rPort)
    }

    /// The tracker's memory of the flow between O and R.
    var tcp: TCPRecord {
        let found = node.table.peek(
            tuple, .none, .initial, at: Moment(now, node.configuration.tickRate))
        return found.map { node.table.states[$0.slot].tcp } ?? TCPRecord()
    }

    /// Both sides' `end / maxend / maxwin / scale`, as the worked examples write them.
    func expectWindows(
        o: String, r: String, at location: SourceLocation = #_sourceLocation
    ) {
        expect("O's end / maxend / maxwin / scale", tcp.original.windowText, o, at: location)
        expect("R's end / maxend / maxwin / scale", tcp.reply.windowText, r, at: location)
    }
}

extension TCPSide {
    var windowText: String { "\(end) / \(maxEnd) / \(maxWindow) / \(scale)" }
}
