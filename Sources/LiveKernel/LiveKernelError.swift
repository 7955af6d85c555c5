public import LinuxCalls

/// Why the live kernel cannot be asked.
public enum LiveKernelError: Error, Sendable, CustomStringConvertible {
    /// Something is not there that has to be; `remedy` is how to get it.
    case unavailable(String, remedy: String)
    /// A system call failed where it should not.
    case call(SystemCallError)
    /// `nft` or `ip` did not take what it was given.
    case refused(program: String, String)
    /// A setting of the node file cannot be made.
    case setting(name: String, value: String, reason: String)
    /// The kernel said something this room does not understand, or lost messages.
    case unexpected(String)

    public var description: String {
        switch self {
        case .unavailable(let what, let remedy): "live kernel: \(what); \(remedy)"
        case .call(let error): "live kernel: \(error)"
        case .refused(let program, let message): "live kernel: \(program) refused:\n\(message)"
        case .setting(let name, let value, let reason):
            "live kernel: cannot set \(name) to '\(value)': \(reason)"
        case .unexpected(let what): "live kernel: \(what)"
        }
    }

    /// Whether this machine, or this user, lacks what the live kernel needs.
    public var isUnavailable: Bool {
        if case .unavailable = self { true } else { false }
    }
}

extension LiveKernelError {
    /// A failure to build the machine: where a right or a device is missing, with how to get it.
    static func building(_ error: SystemCallError) -> LiveKernelError {
        guard error.isPermissionMissing || error.isMissing else { return .call(error) }
        return .unavailable(
            "\(error)",
            remedy: "it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN and a writable /proc/sys; "
                + "in a container, run it with --privileged")
    }
}

/// Puts a system call's failure behind this room's door.
func live<Value: ~Copyable>(
    _ body: () throws(SystemCallError) -> Value
) throws(LiveKernelError) -> Value {
    do throws(SystemCallError) {
        return try body()
    } catch {
        throw .call(error)
    }
}

/// As `live`, while the machine is built: what is missing then can be had.
func building<Value: ~Copyable>(
    _ body: () throws(SystemCallError) -> Value
) throws(LiveKernelError) -> Value {
    do throws(SystemCallError) {
        return try body()
    } catch {
        throw .building(error)
    }
}
