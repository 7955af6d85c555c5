import Histogram
import LinuxCalls
import Testing
import Wire

@testable import LoadGen

/// What a worker makes of a handshake that it sees late.
@Suite struct HandshakeTests {
    @Test("a handshake that was over while the worker slept had no SYN sent again")
    func countsNoSleepAsLoss() throws {
        let address = Address(ipv4: 0x7F00_0001)
        var listener = try SocketTable(slotCount: 1)
        try listener.listen(
            0, on: SocketAddress(.ipv4, address, port: 0), backlog: 8, shared: false)
        let name = listener.localAddress(0)
        let port = try #require(name).port
        let target = TargetPool(
            addresses: AddressPool(.ipv4, first: address), firstPort: port)
        let plan = Plan(
            workloads: [QuickProfile.churn.workload(target)], duration: 1_000_000_000)
        let permit = try TargetGate().permit(host: "127.0.0.1", addresses: [(.ipv4, address)])
        var worker = try Worker(
            plan, permit: permit, origin: MonotonicClock.now(), slotCount: 1)
        worker.lanes[0].flows.active = 1
        worker.connect(0)
        MonotonicClock.sleep(until: MonotonicClock.now() + 1_100_000_000)
        let count = worker.sockets.wait(nanoseconds: 5_000_000_000)
        #expect(count == 1)
        worker.handle(worker.sockets.readiness(at: 0))
        let flows = worker.lanes[0].flows
        #expect(flows.connected == 1 && flows.completed == 1 && flows.active == 0)
        #expect(flows.retransmitted == [0, 0, 0])
        let latency = worker.lanes[0].latencies.connect.max
        #expect(latency >= 1_000_000)
    }
}
