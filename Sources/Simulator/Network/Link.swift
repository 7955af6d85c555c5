import Conntrack
import Scenario

/// What one direction of a link does to packets.
struct LinkSettings {
    /// Nanoseconds a packet travels, and what chance adds.
    var delay: Scenario.Distribution
    var jitter: Scenario.Distribution
    /// Chances in parts of 2^32: lost, doubled, overtaken.
    var loss: UInt64
    var duplicates: UInt64
    var late: UInt64
    var lateness: Scenario.Distribution
    /// 0: no limit.
    var nanosecondsPerByte: Double
    /// Bytes that may wait for their turn.
    var queueByteCount: Double
    var isDown: Bool
}

/// When a packet reaches the other end of a link.
struct Passage: BitwiseCopyable {
    var arrival: UInt64
    /// When a second copy does; `.max`: there is none.
    var copyArrival: UInt64 = .max
    /// What the packet ended of, by `PacketFate`; -1: it arrives.
    var fate: Int8 = -1

    init(arrival: UInt64) { self.arrival = arrival }

    init(lostTo fate: Int) {
        arrival = .max
        self.fate = Int8(truncatingIfNeeded: fate)
    }
}

/// One direction of a link between two machines.
struct LinkDirection {
    var settings: LinkSettings {
        didSet {
            latestArrival = 0
            hasJitter = settings.jitter != .constant(0)
        }
    }
    private var hasJitter: Bool
    /// Where it ends: the station and its interface there.
    var station: UInt32
    var interface: UInt8
    /// The sender's interface.
    var ownInterface: UInt8
    /// The link's other direction.
    var opposite: UInt32
    /// When the sender's device has sent everything given to it.
    private var freeAt: UInt64 = 0
    /// When the latest packet arrives: none overtakes it but a late one's followers.
    private var latestArrival: UInt64 = 0

    init(
        settings: LinkSettings, station: UInt32, interface: UInt8, ownInterface: UInt8,
        opposite: UInt32
    ) {
        self.settings = settings
        hasJitter = settings.jitter != .constant(0)
        self.station = station
        self.interface = interface
        self.ownInterface = ownInterface
        self.opposite = opposite
    }

    /// Takes a packet at `now` and says when it arrives, or what it ended of.
    @inline(__always)
    mutating func carry(
        byteCount: UInt32, at now: UInt64, _ sampler: inout Sampler
    ) -> Passage {
        if settings.isDown { return Passage(lostTo: PacketFate.linkDown) }
        if happens(settings.loss, &sampler) { return Passage(lostTo: PacketFate.linkLoss) }
        var leaves = now
        if settings.nanosecondsPerByte != 0 {
            let start = max(now, freeAt)
            let waiting = Double(start - now) / settings.nanosecondsPerByte
            guard waiting <= settings.queueByteCount else {
                return Passage(lostTo: PacketFate.linkQueue)
            }
            freeAt = start + UInt64(Double(byteCount + 14) * settings.nanosecondsPerByte)
            leaves = freeAt
        }
        var time = sampler.draw(settings.delay, limit: 1e15)
        if hasJitter { time += sampler.draw(settings.jitter, limit: 1e15) }
        var arrival = leaves &+ UInt64(time)
        if happens(settings.late, &sampler) {
            arrival &+= UInt64(sampler.draw(settings.lateness, limit: 1e15))
        } else {
            arrival = max(arrival, latestArrival)
            latestArrival = arrival
        }
        var passage = Passage(arrival: arrival)
        if happens(settings.duplicates, &sampler) { passage.copyArrival = arrival }
        return passage
    }

    @inline(__always)
    private func happens(_ share: UInt64, _ sampler: inout Sampler) -> Bool {
        share != 0 && sampler.next() >> 32 < share
    }
}
