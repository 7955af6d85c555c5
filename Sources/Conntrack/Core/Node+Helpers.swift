internal import Wire

// Helpers at work: the last station of a packet whose connection has one. Spec protocols.md §13;
// what the translation of a payload does is observed on 6.18.
//
// A helper needs the packet's bytes, which the path does not carry: whoever has them lays the
// payload down in `PayloadInTransit` before the last hook, and carries over to the bytes what the
// helper and the sequence numbers have changed. A packet without bytes, as simulated hosts send
// it, has no payload to read.

/// The payload of the packet at the last hook, and what became of it.
struct PayloadInTransit: Sendable {
    /// Empty where no helper is to read it.
    private(set) var bytes: [UInt8] = []
    /// Where the TCP header begins in the packet.
    private(set) var transportOffset = 0
    private(set) var headerByteCount = 0
    /// A stretch of the payload, and what takes its place.
    var replacement: (place: Range<Int>, bytes: [UInt8])?
    /// How the acknowledged stream was shifted: what blocks of a SACK option are corrected by.
    var acknowledged = SequenceShift()

    /// For people to read; `nil` where the bytes are what they were.
    var change: PayloadChange? {
        guard let replacement else { return nil }
        let before = [UInt8](bytes[replacement.place])
        return before == replacement.bytes
            ? nil : PayloadChange(before: before, after: replacement.bytes)
    }

    var hasChanges: Bool { replacement != nil || !acknowledged.isNone }

    mutating func take(_ packet: Span<UInt8>, _ parsed: Packet, _ layout: PacketLayout) {
        transportOffset = layout.transportOffset
        headerByteCount = Int(parsed.tcp.headerByteCount)
        let start = transportOffset + headerByteCount
        let end = min(Int(parsed.networkByteCount), packet.count)
        bytes = start < end ? [UInt8](copying: packet.extracting(start..<end)) : []
    }

    mutating func clear() {
        guard !bytes.isEmpty || hasChanges else { return }
        bytes = []
        replacement = nil
        acknowledged = SequenceShift()
    }
}

extension Node {
    /// Lets the connection's helper read the packet, and corrects its sequence numbers where a
    /// helper has changed what went before.
    ///
    /// Returns a reason where the packet must be dropped.
    ///
    /// Kernel: `nf_confirm()`.
    mutating func help(_ packet: inout Packet, _ status: Status, at now: Moment) -> DropReason? {
        guard let direction = packet.info.direction, packet.info != .relatedReply,
            packet.tuple.protocolNumber == IPProtocol.tcp
        else { return nil }
        if status.contains(.helper), let reason = readFTP(&packet, direction, at: now) {
            return reason
        }
        // It may have been set just now.
        if table.records[packet.connection].status.contains(.sequenceAdjust) {
            shift(&packet, direction)
        }
        return nil
    }

    /// The FTP helper.
    ///
    /// Kernel: `help()` in nf_conntrack_ftp.c.
    private mutating func readFTP(
        _ packet: inout Packet, _ direction: Direction, at now: Moment
    ) -> DropReason? {
        guard packet.info.state == .established, !payload.bytes.isEmpty,
            let home = table.attachments(of: packet.connection)
        else { return nil }
        let sequence = packet.tcp.sequence
        let end = sequence &+ UInt32(truncatingIfNeeded: payload.bytes.count)
        let endsLine = payload.bytes.last == UInt8(ascii: "\n")
        var reason: DropReason?
        if table.attached[home][lines: direction].begins(at: sequence) {
            switch FTP.read(payload.bytes, direction, packet.tuple.family) {
            case .nothing: explain(.silent)
            case .unreadable(let word):
                explain(.unreadable)
                remark(byHelper: packet, .helperLineCut(.ftp, word), at: now)
                return .helper
            case .announcement(let found): reason = follow(found, &packet, direction, at: now)
            }
        } else {
            explain(.outOfStep)
        }
        if endsLine { table.attached[home][lines: direction].note(end) }
        return reason
    }

    /// Expects what a line announces; where the control connection is translated, the line is too.
    private mutating func follow(
        _ announcement: FTPAnnouncement, _ packet: inout Packet, _ direction: Direction,
        at now: Moment
    ) -> DropReason? {
        let master = packet.connection
        let mine = table.tuple(of: master, direction)
        let other = table.tuple(of: master, direction.opposite)
        // Somebody else's address is nobody's business here: it could be an attack on a third party.
        if let address = announcement.address,
            announcement.family != mine.family || address != mine.source
        {
            explain(.foreign(address, announcement.family))
            return nil
        }
        var expectation = Expectation(
            mine.family, IPProtocol.tcp, from: other.source, to: other.destination,
            port: announcement.port, of: master, .ftp)
        guard table.records[master].status.hasNAT else {
            guard expect(expectation, at: now) != nil else {
                explain(.expects(expectation.tuple, announcedPort: announcement.port))
                return nil
            }
            explain(.refused)
            remark(byHelper: packet, .helperCannotExpect(.ftp), at: now)
            return .helper
        }
        expectation.follows = Expectation.Follow(direction: direction, port: announcement.port)
        guard let port = expectAnyPort(expectation, at: now) else {
            explain(.refused)
            remark(byHelper: packet, .helperNoPort(.ftp), at: now)
            return .helper
        }
        let text = Array(
            FTP.text(announcement, other.destination, port: port, mine.family).utf8)
        let growth = text.count - announcement.place.count
        guard Int(packet.networkByteCount) + growth <= Int(UInt16.max) else {
            table.forgetNewestExpectation(of: master, at: now)
            return .helper
        }
        if table.journal.explains {
            expectation.tuple.destinationPart = port
            explain(.expects(expectation.tuple, announcedPort: announcement.port))
            let before = String(decoding: payload.bytes[announcement.place], as: UTF8.self)
            explain(.replaced(before: before, after: String(decoding: text, as: UTF8.self)))
        }
        rewrite(announcement.place, text, &packet, direction)
        return nil
    }

    private mutating func expect(
        _ expectation: Expectation, at now: Moment
    ) -> ExpectationRefusal? {
        do throws(ExpectationRefusal) {
            try table.expect(
                expectation, limit: FTP.expectationLimit, seconds: FTP.timeoutSeconds, at: now)
            return nil
        } catch {
            if error == .full { kernelLog.expectationTableFull(at: now.instant) }
            return error
        }
    }

    /// Ports tried besides the announced one.
    private static let portAttempts = 128

    /// Expects the connection at the announced port, or else at one drawn from those above it.
    ///
    /// Returns the port, or `nil` where none was free.
    ///
    /// Kernel: `nf_nat_exp_find_port()`; observed on 6.18.
    private mutating func expectAnyPort(_ expectation: Expectation, at now: Moment) -> UInt16? {
        var expectation = expectation
        let first = expectation.tuple.destinationPart
        let range = UInt32(UInt16.max - first)
        var attemptsLeft = min(Int(range), Self.portAttempts)
        while true {
            switch expect(expectation, at: now) {
            case nil: return expectation.tuple.destinationPart
            case .full: return nil
            case .busy: break
            }
            guard attemptsLeft > 0 else { return nil }
            attemptsLeft -= 1
            let draw = UInt16(truncatingIfNeeded: table.dice.below(range))
            expectation.tuple.destinationPart = first + draw
        }
    }

    /// Puts other bytes in the place of a stretch of the payload.
    private mutating func rewrite(
        _ place: Range<Int>, _ text: [UInt8], _ packet: inout Packet, _ direction: Direction
    ) {
        payload.replacement = (place, text)
        let growth = text.count - place.count
        guard growth != 0 else { return }
        let home = table.makeAttachments(packet.connection)
        table.attached[home][shift: direction].note(growth, at: packet.tcp.sequence)
        table.records[packet.connection].status.insert(.sequenceAdjust)
        packet.networkByteCount = UInt32(Int(packet.networkByteCount) + growth)
        packet.transportByteCount = UInt32(Int(packet.transportByteCount) + growth)
    }

    /// Corrects a segment's numbers for what was added to its stream and to the one it
    /// acknowledges.
    ///
    /// Kernel: `nf_ct_seq_adjust()`.
    private mutating func shift(_ packet: inout Packet, _ direction: Direction) {
        guard let home = table.attachments(of: packet.connection) else { return }
        let mine = table.attached[home][shift: direction]
        let other = table.attached[home][shift: direction.opposite]
        let came = packet.tcp
        packet.tcp.sequence &+= mine.offset(at: packet.tcp.sequence)
        if packet.tcp.flags.contains(.ack) {
            packet.tcp.acknowledgment = other.original(of: packet.tcp.acknowledgment)
        }
        packet.tcp.sackEdge = other.original(of: packet.tcp.sackEdge)
        payload.acknowledged = other
        guard table.journal.explains else { return }
        explain(
            .shifted(
                sequence: came.sequence, packet.tcp.sequence,
                acknowledgment: came.acknowledgment, packet.tcp.acknowledgment))
    }

    private mutating func explain(_ trace: HelperTrace) {
        if table.journal.explains { table.journal.steps.append(.helped(trace)) }
    }

    /// A connection made for a packet that was expected: tied to its master, mapped as its master
    /// is.
    ///
    /// Returns whether it was.
    ///
    /// Kernel: `init_conntrack()`, `nf_nat_follow_master()`.
    mutating func fulfilExpectation(_ packet: Packet, _ slot: Slot, at now: Moment) -> Bool {
        guard
            let expectation = table.takeExpectation(
                packet.tuple, packet.template.zones, namespace, at: now)
        else { return false }
        table.fulfil(expectation, with: slot)
        explain(.fulfilled(master: table.tuple(of: expectation.master, .original)))
        if let follows = expectation.follows {
            let mapped = table.tuple(of: expectation.master, follows.direction)
            NAT.setUp(slot, NATRange(to: mapped.destination), .source, in: &table, at: now)
            var range = NATRange(to: mapped.source)
            range.flags.insert(.ports)
            range.firstPort = follows.port
            range.lastPort = follows.port
            NAT.setUp(slot, range, .destination, in: &table, at: now)
        }
        return true
    }

    /// The expectations in the order of `conntrack -L expect`.
    public func listExpectations(at now: Instant) -> [ExpectationEntry] {
        table.listExpectations(namespace, at: moment(now))
    }
}
