internal import Conntrack
internal import Scenario

// How names are looked up, in a scenario's words.

extension Lookup {
    /// A scenario's resolver: the same queries from as many sockets as the simulator's.
    init(_ resolver: Scenario.Resolver) {
        let sharesSocket = resolver.sharesSocket && resolver.records.count == 2
        queriesPerSocket = sharesSocket ? 2 : 1
        socketCount = resolver.candidates * (sharesSocket ? 1 : max(1, resolver.records.count))
        timeout = UInt64(max(1, resolver.timeout.nanoseconds))
        attempts = max(1, resolver.attempts)
    }
}
