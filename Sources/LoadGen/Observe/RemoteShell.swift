internal import LinuxCalls

/// A line of POSIX shell on another host, run by `ssh`.
enum RemoteShell {
    /// Nanoseconds to wait for the first answer, which comes behind keys and handshakes.
    static let firstPatience: UInt64 = 15_000_000_000

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
                ], keeping: ["HOME", "PATH", "SSH_AUTH_SOCK", "USER"])
        } catch {
            throw .call(error)
        }
    }
}
