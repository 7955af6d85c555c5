import Conntrack
import LinuxCalls
import Replay

/// What a table costs: in the kernel it models, in the model, in this process.
struct MemoryReport {
    let lines: [String]

    init(_ replayer: borrowing Replayer) {
        let sysctl = replayer.node.configuration.sysctl
        let count = Int(replayer.node.count)
        let kernel = KernelMemory(
            buckets: Int(sysctl.roundedBuckets), entries: count,
            extensions: KernelMemory.Extensions(sysctl, isListening: replayer.node.isListening))
        var lines = [
            "kernel: \(kernel.totalByteCount) bytes for \(count) connections: "
                + "\(kernel.tableByteCount) table, \(kernel.entriesByteCount) entries, "
                + "\(kernel.extensionsByteCount) extensions",
            "model: \(replayer.node.tableByteCount) bytes",
        ]
        if let reading = MemoryReading.now() {
            lines.append(
                "process: \(reading.allocatedByteCount) bytes allocated, "
                    + "\(reading.residentByteCount) resident, "
                    + "\(reading.peakResidentByteCount) at most")
        }
        self.lines = lines
    }
}
