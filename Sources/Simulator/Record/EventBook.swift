import Conntrack

/// The ctnetlink messages of all nodes, as a listener on each would have got them: the first so
/// many, and how many more there were.
struct EventBook {
    /// How many are kept.
    let limit: Int
    private(set) var kept: [(tracker: Int, event: ConntrackEvent)] = []
    private(set) var leftOutCount: UInt64 = 0

    init(limit: Int) { self.limit = limit }

    mutating func take(_ events: [ConntrackEvent], of tracker: Int) {
        let room = min(events.count, limit - kept.count)
        for event in events.prefix(room) { kept.append((tracker, event)) }
        leftOutCount &+= UInt64(events.count - room)
    }
}

extension Simulation {
    /// Begins to keep the messages of every node; connections that exist have none, as with
    /// `nf_conntrack_events = 2`.
    mutating func keepEvents(limit: Int) {
        guard limit > 0 else { return }
        events = EventBook(limit: limit)
        for home in trackers { home.node.isListening = true }
    }

    /// Moves what the nodes' journals hold into the book.
    mutating func gatherEvents() {
        guard var book = events else { return }
        events = nil
        for (place, home) in trackers.enumerated() where !home.node.journal.events.isEmpty {
            book.take(home.node.journal.events, of: place)
            home.node.journal.clearEvents()
        }
        events = book
    }
}
