import Conntrack

/// What one direction of a link does to packets.
struct LinkSettings: Hashable, BitwiseCopyable {
    /// Nanoseconds a packet travels.
    var delay: UInt64 = 0
    /// Nanoseconds that chance adds at most; packets keep their order.
    var jitter: UInt64 = 0
    /// Chance of loss in parts of 2^32; `.max` loses everything.
    var loss: UInt32 = 0
    /// Bits per second; 0 is no limit.
    var bitsPerSecond: UInt64 = 0
    var isDown = false

    /// Packets a full transmit queue holds back: the default length of a device's queue.
    static let queueLength: UInt64 = 1000
}

/// One direction of a link between two machines.
struct LinkDirection: BitwiseCopyable {
    var settings: LinkSettings
    /// Where it ends: the station and its interface there.
    var station: UInt32
    var interface: UInt8
    /// The link's other direction.
    var opposite: UInt32
    /// When the sender's device has sent everything given to it.
    var freeAt: UInt64 = 0
    /// When the latest packet arrives: none overtakes it.
    var latestArrival: UInt64 = 0

    var packetCount: UInt64 = 0
    var lostCount: UInt64 = 0
    var overflowCount: UInt64 = 0

    /// Takes a packet at `now` and says when it arrives; `nil` where it is lost.
    @inline(__always)
    mutating func carry(byteCount: UInt32, at now: UInt64, _ dice: inout Dice) -> UInt64? {
        packetCount &+= 1
        if settings.isDown || settings.loss != 0 {
            let isLost =
                settings.isDown || settings.loss == .max
                || UInt32(truncatingIfNeeded: dice.next() >> 32) < settings.loss
            if isLost {
                lostCount &+= 1
                return nil
            }
        }
        var leaves = now
        if settings.bitsPerSecond != 0 {
            let frame = UInt64(byteCount) &+ 14
            let time = frame &* 8_000_000_000 / settings.bitsPerSecond
            let start = max(now, freeAt)
            if start &- now > time &* LinkSettings.queueLength {
                overflowCount &+= 1
                return nil
            }
            freeAt = start &+ time
            leaves = freeAt
        }
        var arrival = leaves &+ settings.delay
        if settings.jitter != 0 {
            arrival &+= (dice.next() >> 32) &* settings.jitter >> 32
        }
        // Two packets of one direction do not overtake each other.
        arrival = max(arrival, latestArrival)
        latestArrival = arrival
        return arrival
    }

    /// Changes what the link does; packets on their way keep their arrival, and those that follow
    /// may overtake them.
    mutating func change(_ settings: LinkSettings) {
        self.settings = settings
        latestArrival = 0
    }
}
