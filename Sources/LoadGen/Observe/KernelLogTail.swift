internal import LinuxCalls

/// The kernel's log from now on.
struct KernelLogTail: ~Copyable {
    private let file: FileDescriptor
    private var buffer = [UInt8](repeating: 0, count: 8192)
    private var count = 0

    init() throws(SystemCallError) {
        let file = try FileDescriptor(opening: "/dev/kmsg", for: .readWriteWithoutWaiting)
        try file.seekToEnd()
        self.file = file
    }

    /// How often, so far, the log said that the table of namespace `number` is full; the initial
    /// namespace's lines have no number (spec formats.md §7).
    mutating func tableFullLines(about number: UInt64) -> Int {
        while true {
            do throws(SystemCallError) {
                guard let length = try file.read(into: &buffer), length > 0 else { return count }
                let line = String(decoding: buffer[..<length], as: UTF8.self)
                if line.contains("table full in netns \(number),")
                    || line.contains("nf_conntrack: table full, dropping")
                {
                    count += 1
                }
            } catch {
                // Overwritten before it was read: the next read goes on behind the gap.
                guard error.isReaderGone else { return count }
            }
        }
    }
}
