import Conntrack

// Packets on their way between two machines, or between tracking and confirmation inside one. They
// are values in one array with a free list; events name them by index.

/// One packet on its way, and what its sender's application means by it.
struct Flight: BitwiseCopyable {
    var packet: Packet
    /// The socket it came from, which the receiver may remember to find it again.
    var sender: UInt32
    /// The socket it is for, as far as the sender knows: a hint, which the receiver checks.
    var receiver: UInt32
    /// The exchange it belongs to: what a real packet's payload would tell the application.
    var exchange: ExchangeReference
    /// Which of an exchange's questions a datagram asks or answers.
    var question: UInt8 = 0
    /// The link it travels, or the node that is working on it.
    var place: UInt32 = 0

    init(
        _ packet: Packet, sender: UInt32 = .max, receiver: UInt32 = .max,
        _ exchange: ExchangeReference
    ) {
        self.packet = packet
        self.sender = sender
        self.receiver = receiver
        self.exchange = exchange
    }
}

/// An exchange by its place, and the generation that tells it from what stood there before.
struct ExchangeReference: Hashable, BitwiseCopyable {
    var index: UInt32
    var generation: UInt32
    /// The workload it belongs to.
    var workload: UInt32

    static let none = ExchangeReference(index: .max, generation: 0, workload: .max)
}

/// A growing array of plain values whose places are used again, newest first.
struct Pool<Element: BitwiseCopyable> {
    private(set) var items: [Element] = []
    private var free: [UInt32] = []

    /// Places in use.
    var count: Int { items.count - free.count }

    @inline(__always)
    mutating func insert(_ element: Element) -> UInt32 {
        if let index = free.popLast() {
            items[Int(index)] = element
            return index
        }
        items.append(element)
        return UInt32(truncatingIfNeeded: items.count - 1)
    }

    @inline(__always)
    mutating func release(_ index: UInt32) { free.append(index) }

    @inline(__always)
    subscript(index: UInt32) -> Element {
        @inline(__always) _read { yield items[Int(index)] }
        @inline(__always) _modify { yield &items[Int(index)] }
    }
}
