internal import Wire

/// Where IPv4 addresses lie, as one sorted list of ranges: a packet asks twice, and a machine may
/// have many addresses and routes.
struct IPv4Map: Sendable {
    /// What holds for all addresses of a range.
    struct Place: Sendable, Hashable, BitwiseCopyable {
        /// For packets to there, unless their source forbids it.
        var destination: Routing.Destination
        /// Such an address is a subnet's broadcast address.
        var isBroadcast: Bool
        /// What masquerading takes for packets to there: the first address of the egress interface
        /// in the same subnet, or else its first of all; 0 where there is none.
        var preferredSource: UInt32
    }

    private var starts: [UInt32] = [0]
    private var places: [Place]

    /// `edges`: first addresses of ranges in which something may change.
    init(edges: [UInt32], _ place: (UInt32) -> Place) {
        places = [place(0)]
        for edge in edges.sorted() where edge > 0 {
            let here = place(edge)
            guard here != places[places.count - 1] else { continue }
            starts.append(edge)
            places.append(here)
        }
    }

    @inline(__always)
    subscript(address: UInt32) -> Place {
        // The last start not beyond the address; the sum takes the place of a branch that nobody
        // could foresee.
        var low = 0
        var count = starts.count
        while count > 1 {
            let half = count >> 1
            low &+= starts[low &+ half] <= address ? half : 0
            count &-= half
        }
        return places[low]
    }
}
