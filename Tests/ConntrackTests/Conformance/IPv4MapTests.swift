import Testing

@testable import Conntrack

/// The map answers for every address what it was told about that address's range.
@Suite struct IPv4MapTests {
    private static func place(_ value: UInt32) -> IPv4Map.Place {
        IPv4Map.Place(destination: .local, isBroadcast: value % 2 == 1, preferredSource: value)
    }

    @Test("an address belongs to the last edge not beyond it", arguments: UInt64(0)..<20)
    func agreesWithAScan(seed: UInt64) {
        var dice = Dice(seed: seed)
        var edges = (0..<dice.below(40)).map { _ in UInt32(truncatingIfNeeded: dice.next()) }
        if seed % 2 == 0 { edges += [0, UInt32.max] }
        func scan(_ address: UInt32) -> UInt32 { edges.filter { $0 <= address }.max() ?? 0 }
        let map = IPv4Map(edges: edges) { Self.place(scan($0)) }
        let near = edges.flatMap { [$0 &- 1, $0, $0 &+ 1] }
        let anywhere = (0..<200).map { _ in UInt32(truncatingIfNeeded: dice.next()) }
        for address in near + anywhere + [0, UInt32.max] {
            #expect(map[address] == Self.place(scan(address)), "seed \(seed), \(address)")
        }
    }
}
