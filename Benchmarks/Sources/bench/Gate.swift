import Conntrack
import Glibc
import LinuxCalls
import Wire

// What `make check` holds: figures that do not depend on the machine or its load. Allocations come
// from the allocator, instructions from callgrind around `bench steady N`.

/// Bytes allocated by packets of established flows and of new ones, on a warm machine: none may be.
///
/// Returns whether that holds.
func allocationGate() -> Bool {
    var isGood = true
    func hold(_ name: String, _ packetCount: Int, _ bytes: UInt64) {
        let verdict = bytes == 0 ? "met" : "NOT MET"
        print("allocated by \(packetCount) packets, \(name): \(bytes) bytes  \(verdict)")
        if bytes != 0 { isGood = false }
    }
    var node = gateway(1 << 16)
    for flow in 0..<UInt32(20_000) { steady(&node, flow, 0..<6) }
    hold(
        "whole TCP lives", 60_000,
        allocated { for flow in 0..<UInt32(10_000) { steady(&node, flow + 20_000, 0..<6) } })
    for flow in 0..<UInt32(1024) { datagram(&node, flow) }
    var router = masquerading(1 << 16)
    openMasqueraded(&router, 0..<40_000)
    router.flush(at: .start)
    hold("new masqueraded flows", 20_000, allocated { openMasqueraded(&router, 0..<20_000) })
    hold(
        "hot UDP flows", 100_000,
        allocated { for round in 0..<UInt32(100_000) { datagram(&node, round & 1023) } })
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
