// What the machine would say in `dmesg`. The line about a full table passes the limiter that the
// kernel's network code shares; lines about packets do not (spec formats.md §7).

/// The kernel log of one machine, as far as connection tracking writes it.
public struct KernelLog: Sendable {
    public struct Line: Sendable, Hashable {
        public var at: Instant
        public var text: String
        /// How urgent: what decides whether a console shows it.
        public var level: RuleLog.Level

        public init(at: Instant, _ text: String, level: RuleLog.Level = .warn) {
            self.at = at
            self.text = text
            self.level = level
        }

        /// As `dmesg` prints it: seconds since the run began, six decimals, the text.
        ///
        /// Where the text has a line feed, the rest stands below its beginning.
        public var dmesg: String {
            let micros = at.nanoseconds / 1000
            let seconds = String(micros / 1_000_000)
            let padding = String(repeating: " ", count: max(0, 5 - seconds.count))
            let fraction = TimeBase.padded(micros % 1_000_000, digits: 6)
            let stamp = "[\(padding)\(seconds).\(fraction)] "
            let margin = "\n" + String(repeating: " ", count: stamp.count)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            return stamp + lines.joined(separator: margin)
        }
    }

    /// Lines kept; beyond it the oldest go, as in the kernel's ring buffer.
    public static let lineLimit = 65_536

    /// Lines that had to go because of `lineLimit`.
    public private(set) var forgottenCount = 0

    /// Lines written about a full table, and those the limiter held back.
    public private(set) var tableFullCount = 0
    public private(set) var suppressedCount = 0

    /// Lines ever written.
    public var writtenCount: Int { ring.count + forgottenCount }

    private var ring: [Line] = []
    /// Where the oldest line stands once the ring is full.
    private var oldest = 0
    private var limiter: RateLimiter
    private let tableFullText: String

    /// - Parameters:
    ///   - namespaceInode: what the line about a full table names in a child namespace of 6.18;
    ///     `nil` for the initial namespace. Linux 6.12 never names it.
    ///   - burst: `net.core.message_burst`.
    ///   - costSeconds: `net.core.message_cost`; 0 switches the limiter off.
    public init(
        namespaceInode: UInt32?, profile: KernelProfile, burst: UInt32, costSeconds: UInt32
    ) {
        limiter = RateLimiter(burst: burst, interval: .seconds(Int64(costSeconds)))
        var place = ""
        if let namespaceInode, profile == .linux618 { place = " in netns \(namespaceInode)" }
        tableFullText = "nf_conntrack: nf_conntrack: table full\(place), dropping packet"
    }

    /// Changes the limiter, as writing to `net.core.message_*` does; a window that is open stays open.
    mutating func limit(burst: UInt32, costSeconds: UInt32) {
        limiter.burst = burst
        limiter.interval = .seconds(Int64(costSeconds))
    }

    /// Says that a packet was refused because the table is full, unless the limiter forbids it.
    public mutating func tableFull(at now: Instant) {
        appendLimited(tableFullText, at: now)
    }

    /// Says that an expectation was refused because there are too many, unless the limiter forbids
    /// it.
    mutating func expectationTableFull(at now: Instant) {
        appendLimited("nf_conntrack: nf_conntrack: expectation table full", at: now)
    }

    private mutating func appendLimited(_ text: String, at now: Instant) {
        let answer = limiter.ask(at: now)
        if answer.maySpeak { tableFullCount += 1 } else { suppressedCount += 1 }
        if answer.suppressedCount > 0 {
            append("net_ratelimit: \(answer.suppressedCount) callbacks suppressed", at: now)
        }
        if answer.maySpeak { append(text, at: now) }
    }

    /// Writes a line that nothing limits.
    public mutating func append(
        _ text: String, at now: Instant, level: RuleLog.Level = .warn
    ) {
        let line = Line(at: now, text, level: level)
        guard ring.count == Self.lineLimit else {
            ring.append(line)
            return
        }
        ring[oldest] = line
        oldest = (oldest + 1) % Self.lineLimit
        forgottenCount += 1
    }

    /// The lines that are kept, oldest first.
    public var lines: [Line] { Array(ring[oldest...] + ring[..<oldest]) }
}

/// The kernel's shared limiter of network warnings.
///
/// A window starts with the first call. In it, `burst` calls may speak; the others are counted. The
/// first call after its end starts a new one and learns how many were silent. Without a call
/// nothing is ever said.
///
/// Kernel: `net_ratelimit()`; spec formats.md §7.
struct RateLimiter: Sendable {
    struct Answer: Hashable {
        var maySpeak: Bool
        /// Calls that had to be silent in the window before; not zero once, when it is over.
        var suppressedCount: UInt32
    }

    var burst: UInt32
    /// Zero switches the limiter off.
    var interval: Interval
    private var windowStart: Instant?
    private var spokenCount: UInt32 = 0
    private var suppressedCount: UInt32 = 0

    init(burst: UInt32, interval: Interval) {
        self.burst = burst
        self.interval = interval
    }

    mutating func ask(at now: Instant) -> Answer {
        guard interval.nanoseconds > 0 else { return Answer(maySpeak: true, suppressedCount: 0) }
        var answer = Answer(maySpeak: true, suppressedCount: 0)
        let isInWindow = windowStart.map { now - $0 < interval } ?? false
        if !isInWindow {
            answer.suppressedCount = suppressedCount
            windowStart = now
            spokenCount = 0
            suppressedCount = 0
        }
        if spokenCount < burst {
            spokenCount += 1
        } else {
            suppressedCount &+= 1
            answer.maySpeak = false
        }
        return answer
    }
}
