internal import LinuxCalls

/// Reads another host's settings, by one command that `ssh` runs there.
enum ShellSettings {
    /// Nanoseconds to wait for it: keys and handshakes are part of that.
    private static let patience: UInt64 = 15_000_000_000

    /// One line of POSIX shell, without single quotes: it travels inside them.
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
        guard let program = Program.path(of: "ssh") else {
            throw .remote("there is no ssh here; install the package openssh-client")
        }
        var text = ""
        do throws(SystemCallError) {
            let child = try ChildProcess(
                program,
                [
                    "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", host,
                    "exec sh -c '\(script)'",
                ], keeping: ["HOME", "PATH", "SSH_AUTH_SOCK", "USER"])
            let deadline = MonotonicClock.now() + patience
            while MonotonicClock.now() < deadline {
                let (lines, hasMore) = try child.lines()
                for line in lines { text += line + "\n" }
                if lines.contains("end=") { return text }
                guard hasMore else { break }
                MonotonicClock.sleep(until: MonotonicClock.now() + 5_000_000)
            }
        } catch {
            throw .call(error)
        }
        throw .remote(
            "\(host) did not tell its settings; see that 'ssh \(host) true' works without a question"
        )
    }
}
