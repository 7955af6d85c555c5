internal import LinuxCalls

/// A line of POSIX shell on another host, run by `ssh`.
enum RemoteShell {
    /// Nanoseconds to wait for the first answer, which comes behind keys and handshakes.
    static let firstPatience: UInt64 = 15_000_000_000

    /// Bytes of an answer at most, and of a line.
    static let mostBytes = 1 << 20

    /// Starts `ssh`, which is looked for where this process's PATH says.
    ///
    /// It asks nobody for a password.
    ///
    /// - Parameter script: Without single quotes: it travels inside them.
    static func start(_ script: String, on host: String) throws(ProbeError) -> ChildProcess {
        precondition(!script.contains("'"), "a script that ends its own quotes")
        guard let program = Program.path(of: "ssh") else {
            throw .remote("there is no ssh here; install the package openssh-client")
        }
        do throws(SystemCallError) {
            return try ChildProcess(
                program,
                [
                    "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", host,
                    "exec sh -c '\(script)'",
                ], keeping: ["HOME", "PATH", "SSH_AUTH_SOCK", "USER"], longestLine: mostBytes)
        } catch {
            throw .call(error)
        }
    }

    /// What `host` has said since the last call, and whether there can be more.
    static func lines(
        of child: ChildProcess, on host: String
    ) throws(ProbeError) -> (lines: [String], hasMore: Bool) {
        do throws(SystemCallError) {
            return try child.lines()
        } catch {
            throw error.isTooLong ? flood(of: host) : .call(error)
        }
    }

    static func flood(of host: String) -> ProbeError {
        .remote(
            "\(host): found more than \(mostBytes) bytes of an answer, expected a few thousand; "
                + "what does 'ssh \(host) true' print?")
    }
}
