import Conntrack
import LinuxCalls
import Wire

/// Fifty million connections, once: memory and time to fill.
func fiftyMillion() {
    let count: UInt32 = 50_000_000
    var node = gateway(1 << 26)
    var feeder = Feeder(.batches)
    let start = processNanoseconds()
    feeder.track(count, by: &node, at: .start, expecting: .new) { Flows.datagram($0) }
    let seconds = Double(processNanoseconds() - start) / 1e9
    expect(node.count == count, "\(node.count) connections are in the table")
    report("50 M connections: CPU seconds to fill", seconds, "s", bar: 60)
    guard let reading = MemoryReading.now() else { return }
    report(
        "50 M connections: resident", Double(reading.peakResidentByteCount) / 1e9, "GB", bar: 7.5)
}
