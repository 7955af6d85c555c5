// A chain's beginning and a summary of the chain, in sixteen bytes: a quarter of a cache line. The
// summary answers the two commonest questions without touching what they are not about. "Is this
// tuple absent?" needs that no link can have its hash and that no link has expired, since a lookup
// evicts every expired connection it meets. "Where is it?" is answered by a print of the hash for
// each of the first two links, so that a lookup goes straight to the right record. Both are always
// safe: prints of links that have gone may linger among the tags, the second link may be unknown,
// and the bound may be too early; each only costs a walk, which renews the summary.

/// Head of one hash chain.
struct BucketHead: BitwiseCopyable {
    private(set) var first: Link = .none
    /// The link behind the first; `.unknown` where only the first one's record says.
    private(set) var second: Link = .none
    private var summary: UInt64 = 0

    // Low to high: 8 bits length (saturating), 12 bits bound, 10 bits print of the first link, 10
    // bits print of the second, 24 bits tags of all others.
    private static let longest: UInt32 = 0xff
    private static let boundShift: UInt64 = 8
    private static let firstShift: UInt64 = 20
    private static let secondShift: UInt64 = 30
    private static let tagShift: UInt64 = 40

    /// Links in the chain; 255 stands for 255 and more, and stays until the next walk.
    var length: UInt32 { UInt32(truncatingIfNeeded: summary) & 0xff }

    /// False where the chain has been too long to be counted here.
    var isLengthExact: Bool { length < Self.longest }

    private var bound: UInt32 { UInt32(truncatingIfNeeded: summary >> Self.boundShift) & 0xfff }
    private var firstPrint: UInt64 { summary >> Self.firstShift & HashPrint.mask }
    private var secondPrint: UInt64 { summary >> Self.secondShift & HashPrint.mask }
    private var tags: UInt64 { summary >> Self.tagShift }

    /// Whether `second` is a link and not only the knowledge that there is none or some.
    @inline(__always)
    var knowsSecond: Bool { second.raw < Link.unknown.raw }

    /// True if no link of the chain can have this hash.
    @inline(__always)
    func cannotHold(_ hash: UInt32) -> Bool {
        let print = HashPrint(hash)
        return !firstMayHave(print) && !secondMayHave(print) && !othersMayHave(print)
    }

    /// Whether the first link may be the one with such a hash.
    @inline(__always)
    func firstMayHave(_ print: HashPrint) -> Bool { firstPrint == print.bits && first != .none }

    /// Whether the second link is known and may be the one.
    @inline(__always)
    func secondMayHave(_ print: HashPrint) -> Bool { secondPrint == print.bits && knowsSecond }

    /// Whether a link behind those two may be the one; the second counts here while it is unknown.
    @inline(__always)
    func othersMayHave(_ print: HashPrint) -> Bool { tags & print.tag != 0 }

    /// The link whose record a lookup for this hash reads first, or `.none` if it reads none.
    @inline(__always)
    func likelyLink(_ hash: UInt32) -> Link {
        let print = HashPrint(hash)
        if firstMayHave(print) { return first }
        if secondMayHave(print) { return second }
        return othersMayHave(print) ? (knowsSecond ? second : first) : .none
    }

    /// False only if no link of the chain has expired.
    @inline(__always)
    func mayHaveExpired(at now: Tick) -> Bool {
        guard first != .none else { return false }
        return ExpiryBound.hasPassed(bound, at: now)
    }

    /// Puts a link at the beginning.
    @inline(__always)
    mutating func push(_ link: Link, hash: UInt32, deadline: Tick, at now: Tick) {
        let edge = ExpiryBound.edge(deadline, at: now)
        let print = HashPrint(hash).bits << Self.firstShift
        guard first != .none else {
            first = link
            second = .none
            summary = 1 | UInt64(edge) << Self.boundShift | print
            return
        }
        var tags = tags
        if knowsSecond { tags |= HashPrint.tag(secondPrint) }
        let count = UInt64(min(length + 1, Self.longest))
        let bound = UInt64(ExpiryBound.earlier(bound, edge)) << Self.boundShift
        summary =
            count | bound | print | firstPrint << Self.secondShift | tags << Self.tagShift
        second = first
        first = link
    }

    /// Takes out the first link; `after` is the one behind it, and `hash` that one's where the
    /// second was unknown.
    @inline(__always)
    mutating func removeFirst(followedBy after: Link, hash: UInt32) {
        guard after != .none else {
            self = BucketHead()
            return
        }
        let print = knowsSecond ? secondPrint : HashPrint(hash).bits
        summary =
            summary & ~(HashPrint.mask << Self.firstShift) | print << Self.firstShift
        first = after
        second = .unknown
        noteRemoval()
    }

    /// Notes that a link behind the first was taken out.
    @inline(__always)
    mutating func remove(_ link: Link) {
        if second == link { second = .unknown }
        noteRemoval()
    }

    private mutating func noteRemoval() {
        guard isLengthExact else { return }
        summary -= 1
        if length == 1 { second = .none }
        // What lingers of links that have gone need not linger where no other is left.
        if length == 1 || (length == 2 && knowsSecond) {
            summary &= (1 << Self.tagShift) - 1
        }
    }

    /// Notes that a link's deadline came nearer.
    mutating func noteEarlier(_ deadline: Tick, at now: Tick) {
        let bound = ExpiryBound.earlier(bound, ExpiryBound.edge(deadline, at: now))
        summary = summary & ~(0xfff << Self.boundShift) | UInt64(bound) << Self.boundShift
    }

    /// Takes what a walk over the whole chain found.
    @inline(__always)
    mutating func adopt(_ walked: ChainSummary) {
        second = walked.second
        summary =
            UInt64(min(walked.length, Self.longest)) | UInt64(walked.bound) << Self.boundShift
            | walked.firstPrint << Self.firstShift | walked.secondPrint << Self.secondShift
            | walked.tags << Self.tagShift
    }
}

/// What a bucket head keeps of a link's hash: its ten lowest bits.
///
/// The high ones have chosen the bucket and are the same all over a chain.
struct HashPrint: BitwiseCopyable {
    static let mask: UInt64 = 0x3ff

    let bits: UInt64

    @inline(__always)
    init(_ hash: UInt32) { bits = UInt64(hash) & Self.mask }

    @inline(__always)
    var tag: UInt64 { Self.tag(bits) }

    /// One of 24 bits for a print.
    @inline(__always)
    static func tag(_ print: UInt64) -> UInt64 {
        // In a very large table few of a print's bits, the low ones, still tell links apart: the
        // multiplication by 2^16 / golden ratio spreads those over the range.
        1 << ((((print &* 40503) & 0xffff) &* 24) >> 16)
    }
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
    fileprivate(set) var second: Link = .none
    fileprivate(set) var firstPrint: UInt64 = 0
    fileprivate(set) var secondPrint: UInt64 = 0
    fileprivate(set) var tags: UInt64 = 0
    fileprivate(set) var bound: UInt32
    private let now: Tick

    init(at now: Tick) {
        self.now = now
        bound = ExpiryBound.edge(now + ExpiryBound.horizon, at: now)
    }

    @inline(__always)
    mutating func add(_ link: Link, _ record: borrowing ConnectionRecord) {
        length &+= 1
        let print = HashPrint(record.hash(link.direction))
        switch length {
        case 1: firstPrint = print.bits
        case 2:
            second = link
            secondPrint = print.bits
        default: tags |= print.tag
        }
        bound = ExpiryBound.earlier(bound, ExpiryBound.edge(record.deadline, at: now))
    }
}
