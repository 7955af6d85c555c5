import Conntrack
import Scenario
import Wire

/// Packets without an application behind them.
struct RawPlan {
    enum Kind {
        /// SYNs or datagrams from addresses that may not exist.
        case flood
        /// One packet to each port.
        case scan
        /// The packets of a capture, with their gaps times `gapFactor`; 0 loops have no end.
        case replay([CapturedPacket], gapFactor: Double, loops: Int)
    }

    /// A packet of a capture, parsed.
    struct CapturedPacket {
        /// Nanoseconds since the first.
        var time: UInt64
        var packet: Packet
    }

    var kind: Kind
    /// Where the packets enter the network.
    var station: Int
    var isDatagram = false
    /// Source addresses, drawn by chance; empty: the workload's own.
    var sources: [SourceRange] = []
    var sourcePorts: ClosedRange<UInt16> = 1024...65_535
    /// Payload bytes of a datagram.
    var size = Scenario.Distribution.constant(64)
    /// A replayed capture: what comes next.
    var cursor = 0
    var loopsDone = 0
    var loopBegan: UInt64 = 0
}
