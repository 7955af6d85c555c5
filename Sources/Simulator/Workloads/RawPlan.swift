import Conntrack
import Wire

/// Packets without an application behind them.
struct RawPlan {
    enum Kind {
        /// SYNs from addresses that may not exist.
        case synFlood
        /// Datagrams from addresses that may not exist.
        case udpFlood
        /// SYNs to one port after another.
        case scan
        /// The packets of a capture, with their gaps.
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
    /// Source addresses, drawn by chance; empty: the workload's own.
    var sources: [SourceRange] = []
    /// Destination ports, in turn.
    var ports: ClosedRange<UInt16> = 1...1
    /// Payload bytes of a datagram.
    var byteCount: UInt32 = 64
    /// A replayed capture: what comes next.
    var cursor = 0
    var loopsDone = 0
    var loopBegan: UInt64 = 0
    var portCursor: UInt32 = 0
}
