// A chain's beginning and a summary of the chain, in eight bytes. The summary answers the commonest
// question, "is this tuple absent?", without touching the chain: that needs both that no link has
// the tuple's tag and that no link has expired, since a lookup evicts every expired connection it
// meets. It is always safe: tags of links that have gone may linger, and the bound may be too
// early; both only cost a walk, which renews the summary.

/// Head of one hash chain.
struct BucketHead: BitwiseCopyable {
    var first: Link = .none
    private var summary: UInt32 = 0

    // Low to high: 8 bits length (saturating), 12 bits tags, 12 bits bound.
    private static let longest: UInt32 = 0xff

    /// Links in the chain; 255 stands for 255 and more, and stays until the next walk.
    var length: UInt32 { summary & 0xff }

    /// False where the chain has been too long to be counted here.
    var isLengthExact: Bool { length < Self.longest }

    private var tags: UInt32 { (summary >> 8) & 0xfff }
    private var bound: UInt32 { summary >> 20 }

    private static func tag(_ hash: UInt32) -> UInt32 {
        // The high bits chose the bucket; the low ones are free to tell links apart.
        1 << (((hash & 0xffff) * 12) >> 16)
    }

    /// True if no link of the chain can have this hash.
    @inline(__always)
    func cannotHold(_ hash: UInt32) -> Bool { tags & Self.tag(hash) == 0 }

    /// False only if no link of the chain has expired.
    @inline(__always)
    func mayHaveExpired(at now: Tick) -> Bool {
        guard first != .none else { return false }
        return ExpiryBound.hasPassed(bound, at: now)
    }

    /// Notes a link pushed at the head.
    @inline(__always)
    mutating func noteInsertion(hash: UInt32, deadline: Tick, at now: Tick) {
        let isEmpty = length == 0
        let tags = (isEmpty ? 0 : tags) | Self.tag(hash)
        let edge = ExpiryBound.edge(deadline, at: now)
        let bound = isEmpty ? edge : ExpiryBound.earlier(bound, edge)
        summary = min(length + 1, Self.longest) | tags << 8 | bound << 20
    }

    /// Notes that a link was taken out.
    @inline(__always)
    mutating func noteRemoval() {
        guard length < Self.longest else { return }
        summary -= 1
    }

    /// Notes that a link's deadline came nearer.
    mutating func noteEarlier(_ deadline: Tick, at now: Tick) {
        let bound = ExpiryBound.earlier(bound, ExpiryBound.edge(deadline, at: now))
        summary = summary & 0xf_ffff | bound << 20
    }

    /// Takes what a walk over the whole chain found.
    @inline(__always)
    mutating func adopt(_ walked: ChainSummary) {
        summary = min(walked.length, Self.longest) | walked.tags << 8 | walked.bound << 20
    }

    fileprivate static func tagBit(_ hash: UInt32) -> UInt32 { tag(hash) }
}

/// A lower bound for the deadlines in a chain, in 12 bits of 256 ticks each.
///
/// A bound never lies further ahead than `horizon`, the shortest life that most refreshes give, so
/// that only a refresh to less than that has to touch the heads. It is compared modulo its width:
/// the collector, which walks every chain at least about once a minute, keeps it from growing stale.
enum ExpiryBound {
    static let unit: UInt32 = 256
    private static let mask: UInt32 = 0xfff

    /// Ticks a bound may lie ahead: lives at least this long need no note in the head.
    static let horizon: UInt32 = 2500

    @inline(__always)
    static func edge(_ deadline: Tick, at now: Tick) -> UInt32 {
        let left = min(max(deadline.ticks(after: now), 0), Int32(horizon))
        return ((now.raw &+ UInt32(bitPattern: left)) / unit) & mask
    }

    @inline(__always)
    static func hasPassed(_ bound: UInt32, at now: Tick) -> Bool {
        // A deadline inside the bound's own unit may have passed already.
        let ahead = (bound &- now.raw / unit) & mask
        return ahead == 0 || ahead > mask / 2
    }

    @inline(__always)
    static func earlier(_ left: UInt32, _ right: UInt32) -> UInt32 {
        ((left &- right) & mask) > mask / 2 ? left : right
    }
}

/// What a walk over a whole chain learns about it.
struct ChainSummary {
    fileprivate(set) var length: UInt32 = 0
    fileprivate(set) var tags: UInt32 = 0
    fileprivate(set) var bound: UInt32
    private let now: Tick

    init(at now: Tick) {
        self.now = now
        bound = ExpiryBound.edge(now + ExpiryBound.horizon, at: now)
    }

    @inline(__always)
    mutating func add(_ link: Link, _ record: borrowing ConnectionRecord) {
        length &+= 1
        tags |= BucketHead.tagBit(
            link.direction == .original ? record.hashOriginal : record.hashReply)
        bound = ExpiryBound.earlier(bound, ExpiryBound.edge(record.deadline, at: now))
    }
}
