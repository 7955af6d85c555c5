internal import LinuxCalls

/// Reads another host's settings, by one command that `ssh` runs there.
enum ShellSettings {
    /// One line of POSIX shell, without single quotes.
    static var script: String {
        let names = TargetSettings.trackerNames + TargetSettings.socketNames
        return "exec 2>/dev/null; for n in \(names.joined(separator: " ")); do "
            + "f=/proc/sys/$(echo $n | tr . /); [ -r $f ] && echo \"$n=$(cat $f)\"; done; "
            + "echo \"release=$(uname -r)\"; "
            + "h=$( (zcat /proc/config.gz || cat /boot/config-$(uname -r)) | "
            + "sed -n \"s/^CONFIG_HZ=//p\"); [ -n \"$h\" ] && echo \"hertz=$h\"; echo end="
    }

    /// The settings of `host` as `NAME=VALUE` lines.
    ///
    /// - Throws: Why it did not answer.
    static func read(_ host: String) throws(ProbeError) -> String {
        let child = try RemoteShell.start(script, on: host)
        let deadline = MonotonicClock.now() + RemoteShell.firstPatience
        var text = ""
        while MonotonicClock.now() < deadline, !Interruption.isWaiting {
            let (lines, hasMore) = try RemoteShell.lines(of: child, on: host)
            for line in lines { text += line + "\n" }
            if lines.contains("end=") { return text }
            guard text.utf8.count <= RemoteShell.mostBytes else {
                throw RemoteShell.flood(of: host)
            }
            guard hasMore else { break }
            MonotonicClock.sleep(until: MonotonicClock.now() + 5_000_000)
        }
        if Interruption.isWaiting { throw .interrupted }
        throw .remote(
            "\(host) did not tell its settings; see that 'ssh \(host) true' works without a question"
        )
    }
}
