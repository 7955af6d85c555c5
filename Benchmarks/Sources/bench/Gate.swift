import Conntrack
import Glibc
import LinuxCalls
import Wire

// What `make check` holds: figures that do not depend on the machine or its load. Allocations come
// from the allocator, instructions from callgrind around `bench steady N`.

/// What packets of a kind allocated on a warm machine.
private struct Allocations {
    let packets: String
    let packetCount: Int
    let byteCount: UInt64
}

/// Bytes allocated by packets of established flows and of new ones, on a warm machine.
private func allocationsOnHotPath() -> [Allocations] {
    var node = gateway(1 << 16)
    for flow in 0..<UInt32(20_000) { steady(&node, flow, 0..<6) }
    let lives = allocated {
        for flow in 0..<UInt32(10_000) { steady(&node, flow + 20_000, 0..<6) }
    }
    for flow in 0..<UInt32(1024) { datagram(&node, flow) }
    var router = masquerading(1 << 16)
    openMasqueraded(&router, 0..<40_000)
    router.flush(at: .start)
    let masqueraded = allocated { openMasqueraded(&router, 0..<20_000) }
    let hot = allocated { for round in 0..<UInt32(100_000) { datagram(&node, round & 1023) } }
    return [
        Allocations(packets: "whole TCP lives", packetCount: 60_000, byteCount: lives),
        Allocations(packets: "new masqueraded flows", packetCount: 20_000, byteCount: masqueraded),
        Allocations(packets: "hot UDP flows", packetCount: 100_000, byteCount: hot),
    ]
}

/// The bar: none.
func allocations() {
    let all = allocationsOnHotPath()
    let byteCount = all.reduce(0) { $0 + $1.byteCount }
    let packetCount = all.reduce(0) { $0 + $1.packetCount }
    report(
        "bytes allocated per packet on the hot path", Double(byteCount) / Double(packetCount), "B",
        bar: 0)
}

/// What must hold whatever the machine: no allocation by a packet, and as many bytes a connection as
/// its records and its share of the bucket heads take.
///
/// Returns whether it does.
func gateHolds() -> Bool {
    var isGood = true
    for all in allocationsOnHotPath() {
        let verdict = all.byteCount == 0 ? "met" : "NOT MET"
        print(
            "allocated by \(all.packetCount) packets, \(all.packets): \(all.byteCount) bytes",
            " \(verdict)")
        if all.byteCount != 0 { isGood = false }
    }
    for (family, limit) in [(Family.ipv4, 144.0), (.ipv6, 208)] {
        let bytes = bytesPerConnection(family, count: 1 << 16)
        let verdict = bytes <= limit ? "met" : "NOT MET"
        print("bytes per connection, \(family): \(bytes), at most \(limit)  \(verdict)")
        if bytes > limit { isGood = false }
    }
    return isGood
}

private func allocated(_ work: () -> Void) -> UInt64 {
    guard let before = MemoryReading.threadAllocatedByteCount() else {
        fatalError("this jemalloc has no statistics")
    }
    work()
    return (MemoryReading.threadAllocatedByteCount() ?? 0) - before
}

private func steady(_ node: inout Node, _ flow: UInt32, _ segments: Range<Int>) {
    for segment in segments {
        var packet = Flows.life(flow, segment)
        let end = node.receive(&packet, at: .start)
        expect(end.verdict == .forwarded && packet.info != .invalid, "a segment was \(packet.info)")
    }
}

private func datagram(_ node: inout Node, _ flow: UInt32) {
    var packet = Flows.datagram(flow)
    let end = node.receive(&packet, at: .start)
    expect(end.verdict == .forwarded, "a datagram was \(end)")
}

/// Work of a fixed size for a counter of instructions: `count` packets of hot flows, or none.
func steadyWork(_ count: Int) {
    var node = gateway(1 << 16)
    for flow in 0..<UInt32(1024) { datagram(&node, flow) }
    for round in 0..<count { datagram(&node, UInt32(round) & 1023) }
    for flow in 0..<count / 6 { steady(&node, UInt32(flow), 0..<6) }
}
