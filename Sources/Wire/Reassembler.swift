// Putting datagrams together from fragments, as the kernel's defragmentation at priority -400 does:
// spec protocols.md §1. Overlapping pieces discard the whole queue; an exact repetition is ignored.

/// Which datagram a fragment belongs to.
public struct FragmentKey: Hashable, Sendable, BitwiseCopyable {
    public var source: Address
    public var destination: Address
    public var identification: UInt32
    /// IPv4 only; 0 for IPv6, where fragments of one datagram need not name it alike.
    public var protocolNumber: UInt8
    public var family: Family

    public init(
        source: Address, destination: Address, identification: UInt32, protocolNumber: UInt8,
        family: Family
    ) {
        self.source = source
        self.destination = destination
        self.identification = identification
        self.protocolNumber = protocolNumber
        self.family = family
    }
}

/// A datagram put together.
public struct WholeDatagram: Sendable, Hashable {
    /// The network-layer packet, without any trace of fragmentation.
    public var bytes: [UInt8]
    /// Where each fragment's payload ended, in bytes from the start of the payload.
    public var cuts: [Int]
    /// Bytes of the largest fragment, network header included.
    public var largestFragment: Int
}

/// What a fragment led to.
public enum ReassemblyOutcome: Sendable, Hashable {
    case waiting
    case whole(WholeDatagram)
    /// The fragment was refused, and with it perhaps all that waited.
    case discarded
}

/// The queues in which fragments wait.
public struct Reassembler: Sendable {
    /// Bytes that may wait: `ipfrag_high_thresh` and `nf_conntrack_frag6_high_thresh`.
    public static let byteLimit = 4 << 20

    private struct Piece: Sendable {
        var offset: Int
        var payload: [UInt8]
        var byteCount: Int
        var dontFragment: Bool

        var end: Int { offset + payload.count }
    }

    private struct Queue: Sendable {
        var pieces: [Piece] = []
        /// What stands before the payload of the first fragment, fragment header left out.
        var prefix: [UInt8] = []
        /// The IPv6 next-header byte to be mended in `prefix`, and its value.
        var nextHeaderAt = 0
        var nextHeader: UInt8 = 0
        var expectedEnd = 0
        var hasLast = false
        var deadline: UInt64
        /// Tells a queue from an earlier one of the same key.
        var serial: UInt64

        var waitingByteCount: Int { pieces.reduce(0) { $0 + $1.payload.count } }
    }

    private var queues: [FragmentKey: Queue] = [:]
    /// Keys in order of their queues' birth, and so of their deadlines.
    private var births: [(key: FragmentKey, serial: UInt64)] = []
    private var oldest = 0
    private var nextSerial: UInt64 = 0
    private var waitingByteCount = 0
    /// Fragments refused because too many bytes were waiting.
    public private(set) var overflowCount = 0

    private let timeoutNanoseconds: UInt64

    public init(timeoutSeconds: UInt32) {
        timeoutNanoseconds = UInt64(timeoutSeconds) * 1_000_000_000
    }

    /// Takes an IPv4 fragment: a packet whose header has been checked.
    public mutating func insert(
        ipv4 bytes: Span<UInt8>, _ header: IPv4Header, at nanoseconds: UInt64
    ) -> ReassemblyOutcome {
        let key = FragmentKey(
            source: header.source, destination: header.destination,
            identification: UInt32(header.identification),
            protocolNumber: header.protocolNumber, family: .ipv4)
        var end = header.fragmentOffset + header.totalByteCount - header.headerByteCount
        if header.moreFragments { end &= ~7 }
        let start = header.headerByteCount
        guard end > header.fragmentOffset, end + header.headerByteCount <= 65535 else {
            forget(key)
            return .discarded
        }
        let piece = Piece(
            offset: header.fragmentOffset,
            payload: [UInt8](
                copying: bytes.extracting(start..<start + end - header.fragmentOffset)),
            byteCount: header.totalByteCount, dontFragment: header.dontFragment)
        let prefix =
            header.fragmentOffset == 0
            ? [UInt8](copying: bytes.extracting(0..<start)) : nil
        return insert(
            piece, key, isLast: !header.moreFragments, prefix: prefix, nextHeader: nil,
            at: nanoseconds)
    }

    /// Takes an IPv6 fragment: `bytes` is the packet, cut to its length.
    public mutating func insert(
        ipv6 bytes: Span<UInt8>, _ header: IPv6Header, _ fragment: IPv6FragmentHeader,
        at nanoseconds: UInt64
    ) -> ReassemblyOutcome {
        let key = FragmentKey(
            source: header.source, destination: header.destination,
            identification: fragment.identification, protocolNumber: 0, family: .ipv6)
        let start = fragment.position + IPv6FragmentHeader.byteCount
        let end = fragment.offset + bytes.count - start
        guard start < bytes.count, end <= 65535, !fragment.moreFragments || end & 7 == 0 else {
            return .discarded
        }
        let piece = Piece(
            offset: fragment.offset,
            payload: [UInt8](copying: bytes.extracting(start..<bytes.count)),
            byteCount: bytes.count, dontFragment: false)
        let prefix =
            fragment.offset == 0
            ? [UInt8](copying: bytes.extracting(0..<fragment.position)) : nil
        return insert(
            piece, key, isLast: !fragment.moreFragments, prefix: prefix,
            nextHeader: (fragment.namedAt, fragment.nextHeader), at: nanoseconds)
    }

    private mutating func insert(
        _ piece: Piece, _ key: FragmentKey, isLast: Bool, prefix: [UInt8]?,
        nextHeader: (at: Int, value: UInt8)?, at nanoseconds: UInt64
    ) -> ReassemblyOutcome {
        expire(at: nanoseconds)
        guard waitingByteCount + piece.payload.count <= Self.byteLimit else {
            overflowCount += 1
            return .discarded
        }
        var queue = queues[key] ?? open(key, at: nanoseconds)
        if isLast {
            let contradicts =
                piece.end < queue.expectedEnd || (queue.hasLast && piece.end != queue.expectedEnd)
            guard !contradicts else {
                forget(key)
                return .discarded
            }
            queue.hasLast = true
            queue.expectedEnd = piece.end
        } else if piece.end > queue.expectedEnd {
            guard !queue.hasLast else {
                forget(key)
                return .discarded
            }
            queue.expectedEnd = piece.end
        }
        let place = queue.pieces.firstIndex { $0.offset >= piece.offset } ?? queue.pieces.count
        switch relation(of: piece, to: queue.pieces, at: place) {
        case .repetition:
            queues[key] = queue
            return .discarded
        case .overlap:
            forget(key)
            return .discarded
        case .fits: break
        }
        queue.pieces.insert(piece, at: place)
        waitingByteCount += piece.payload.count
        if let prefix {
            queue.prefix = prefix
            if let nextHeader {
                queue.nextHeaderAt = nextHeader.at
                queue.nextHeader = nextHeader.value
            }
        }
        queues[key] = queue
        guard queue.hasLast, isWhole(queue) else { return .waiting }
        forget(key)
        return finish(queue, key.family).map { .whole($0) } ?? .discarded
    }

    private enum Relation {
        case fits
        case repetition
        case overlap
    }

    /// How a piece meets what is there: runs of adjoining pieces count as one.
    private func relation(of piece: Piece, to pieces: [Piece], at place: Int) -> Relation {
        let before = place > 0 ? pieces[place - 1] : nil
        let after = place < pieces.count ? pieces[place] : nil
        let meetsBefore = before.map { $0.end > piece.offset } ?? false
        let meetsAfter = after.map { $0.offset < piece.end } ?? false
        guard meetsBefore || meetsAfter else { return .fits }
        // Contained in what has come already, as one run: nothing new.
        var covered = piece.offset
        for other in pieces where other.offset <= covered && other.end > covered {
            covered = other.end
        }
        return covered >= piece.end ? .repetition : .overlap
    }

    private func isWhole(_ queue: Queue) -> Bool {
        var reached = 0
        for piece in queue.pieces {
            guard piece.offset == reached else { return false }
            reached = piece.end
        }
        return reached == queue.expectedEnd && !queue.prefix.isEmpty
    }

    private func finish(_ queue: Queue, _ family: Family) -> WholeDatagram? {
        var bytes = queue.prefix
        var cuts: [Int] = []
        for piece in queue.pieces {
            bytes += piece.payload
            cuts.append(piece.end)
        }
        let largest = queue.pieces.map(\.byteCount).max() ?? 0
        switch family {
        case .ipv4:
            guard bytes.count <= 65535 else { return nil }
            let largestUnfragmentable =
                queue.pieces.filter(\.dontFragment).map(\.byteCount).max() ?? 0
            bytes.setBigEndian(UInt16(bytes.count), at: 2)
            bytes.setBigEndian(
                UInt16(largestUnfragmentable == largest ? 0x4000 : 0), at: 6)
            bytes.setBigEndian(UInt16(0), at: 10)
            bytes.setBigEndian(
                Checksum.of(bytes.span.extracting(0..<queue.prefix.count)), at: 10)
        case .ipv6:
            guard bytes.count - IPv6Header.byteCount <= 65535 else { return nil }
            bytes[queue.nextHeaderAt] = queue.nextHeader
            bytes.setBigEndian(UInt16(bytes.count - IPv6Header.byteCount), at: 4)
        }
        return WholeDatagram(bytes: bytes, cuts: cuts, largestFragment: largest)
    }

    private mutating func open(_ key: FragmentKey, at nanoseconds: UInt64) -> Queue {
        nextSerial += 1
        births.append((key, nextSerial))
        return Queue(deadline: nanoseconds &+ timeoutNanoseconds, serial: nextSerial)
    }

    private mutating func forget(_ key: FragmentKey) {
        guard let queue = queues.removeValue(forKey: key) else { return }
        waitingByteCount -= queue.waitingByteCount
    }

    /// Queues whose time is over go, whatever has come.
    private mutating func expire(at nanoseconds: UInt64) {
        while oldest < births.count {
            let birth = births[oldest]
            if let queue = queues[birth.key], queue.serial == birth.serial {
                guard queue.deadline <= nanoseconds else { break }
                forget(birth.key)
            }
            oldest += 1
        }
        if oldest > 1024 {
            births.removeFirst(oldest)
            oldest = 0
        }
    }
}

extension [UInt8] {
    /// The bytes of a span as an array.
    @inlinable
    public init(copying bytes: Span<UInt8>) {
        self.init()
        reserveCapacity(bytes.count)
        for index in bytes.indices { append(bytes[index]) }
    }
}
