internal import LinuxCalls

/// Another host, looked at by a small shell loop that `ssh` runs there.
///
/// The loop answers a word with the files that were asked for, each behind a line with its name. It
/// ends when its input does, so that nothing stays behind there, however this process ends.
///
/// A class: it is one open conversation, and `HostProbe` holds it beside others of its kind.
final class ShellHost: RemoteHost {
    /// Before every part of an answer, followed by its name.
    private static let mark = "== "
    /// The parts, and what shows them.
    private static let parts = [
        ("count", "cat /proc/sys/net/netfilter/nf_conntrack_count"),
        ("max", "cat /proc/sys/net/netfilter/nf_conntrack_max"),
        ("buckets", "cat /proc/sys/net/netfilter/nf_conntrack_buckets"),
        ("statistics", "cat /proc/net/stat/nf_conntrack"),
        ("sockets", "cat /proc/net/sockstat"),
        ("netstat", "cat /proc/net/netstat"),
        ("processor", "head -n 1 /proc/stat"),
    ]
    /// Nanoseconds to wait for every answer but the first.
    private static let patience: UInt64 = 900_000_000

    private let host: String
    private let child: ChildProcess
    private var isOpen = false
    /// Answers asked for and not waited for any more.
    private var overdue = 0

    /// One line of POSIX shell, without single quotes.
    static var script: String {
        let looks = parts.map { "echo \"\(mark)\($0)\"; \($1)" }.joined(separator: "; ")
        return "exec 2>/dev/null; while read -r word; do case $word in "
            + "sample) \(looks);; collect) cat /proc/net/nf_conntrack >/dev/null "
            + "|| echo \"\(mark)refused\";; esac; echo \"\(mark)end\"; done"
    }

    init(_ host: String) throws(ProbeError) {
        self.host = host
        child = try RemoteShell.start(Self.script, on: host)
    }

    func sample() throws(ProbeError) -> HostSample {
        let before = MonotonicClock.now()
        let answer = try ask("sample")
        guard let count = answer["count"].flatMap({ ToldCount.read($0) }) else {
            throw .remote(
                "\(host) tracks no connections, or has no /proc; load the tracker there: modprobe "
                    + "nf_conntrack")
        }
        var reading = TrackerStatistics.reading(of: Array((answer["statistics"] ?? "").utf8)[...])
        reading.count = count
        // Half of the way there and back is as good a moment as any.
        var sample = HostSample(
            moment: before + (MonotonicClock.now() - before) / 2, count: count,
            limit: answer["max"].flatMap { ToldCount.read($0) },
            buckets: answer["buckets"].flatMap { ToldCount.read($0) }, statistics: reading)
        sample.sockets = SocketUse(text: answer["sockets"] ?? "")
        sample.listenOverflows = NetstatText.listenOverflows(in: answer["netstat"] ?? "")
        sample.processor = ProcessorUse(text: answer["processor"] ?? "")
        return sample
    }

    func collect() throws(ProbeError) {
        guard try ask("collect")["refused"] == nil else {
            throw .remote("\(host) does not show its table to this user; log in as root there")
        }
    }

    /// Asks, and waits for the answer: parts by their names.
    private func ask(_ word: String) throws(ProbeError) -> [String: String] {
        child.tell(word)
        let deadline = MonotonicClock.now() + (isOpen ? Self.patience : RemoteShell.firstPatience)
        var answer: [String: String] = [:]
        var part = ""
        var byteCount = 0
        while true {
            let (lines, hasMore) = try RemoteShell.lines(of: child, on: host)
            for line in lines {
                byteCount += line.utf8.count + 1
                guard byteCount <= RemoteShell.mostBytes else { throw RemoteShell.flood(of: host) }
                guard line.hasPrefix(Self.mark) else {
                    if answer[part] == nil {
                        answer[part] = line
                    } else {
                        answer[part]?.append("\n\(line)")
                    }
                    continue
                }
                part = String(line.dropFirst(Self.mark.count))
                answer[part] = part == "refused" ? "" : nil
                guard part == "end" else { continue }
                isOpen = true
                guard overdue == 0 else {
                    // That was the answer to a question of before.
                    overdue -= 1
                    answer = [:]
                    continue
                }
                return answer
            }
            guard hasMore else {
                throw .remote(
                    "ssh \(host) ended with code \(child.wait()); see that 'ssh \(host) true' works "
                        + "without a question")
            }
            guard !Interruption.isWaiting else {
                overdue += 1
                throw .interrupted
            }
            guard MonotonicClock.now() < deadline else {
                overdue += 1
                throw .remote("\(host) did not answer in time")
            }
            MonotonicClock.sleep(until: MonotonicClock.now() + 1_000_000)
        }
    }
}
