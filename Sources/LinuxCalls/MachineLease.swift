/// The right to use this machine's kernel, and to change what is one for the whole machine.
///
/// A few settings (spec protocols.md §12, scope G) hold for every namespace, so that a run that
/// changes them would spoil the others: it has the lease alone, all others share it. What is changed
/// is written down first, with what it was, in a file that outlives the process. Whoever comes next
/// finds it, sees by the lock that its owner is gone, and puts things back; the owner itself does so
/// when it goes. A setting that somebody else has changed in the meantime is left alone.
public struct MachineLease: ~Copyable {
    public static let globalNames: Set<String> = [
        "net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets",
        "net.netfilter.nf_conntrack_expect_max",
    ]

    private static let directory = "/run/ctlab"
    private static let path = "/run/ctlab/changed-sysctls"
    /// Whoever waits for the lease holds the lock on this one, so that those who share it come
    /// behind one who wants it alone and not before him for ever.
    private static let gatePath = "/run/ctlab/gate"
    /// How long to wait for others, in nanoseconds: a minute, or so many seconds as
    /// `CTLAB_LEASE_SECONDS` says, where many runs take turns.
    private static var patience: UInt64 {
        let seconds = Environment.value("CTLAB_LEASE_SECONDS").flatMap { UInt64($0) } ?? 60
        return min(seconds, 86_400) * 1_000_000_000
    }

    private let file: FileDescriptor
    private let isExclusive: Bool

    /// Waits until the machine is to be had, puts back what a process that is gone has left, and
    /// makes `settings`.
    ///
    /// - Throws: `.taken` if others have the machine for too long.
    public init(changing settings: [(name: String, value: String)]) throws(MachineLeaseError) {
        let gate = try leased { () throws(SystemCallError) -> FileDescriptor in
            try TextFile.makeDirectory(Self.directory)
            return try FileDescriptor(opening: Self.gatePath, for: .create)
        }
        let file = try leased { () throws(SystemCallError) in
            try FileDescriptor(opening: Self.path, for: .create)
        }
        let isExclusive = !settings.isEmpty
        try Self.lock(gate, shared: false)
        try Self.lock(file, shared: !isExclusive)
        // Whoever has a share of the lock knows that nobody has it alone: a note that is there is that
        // of a process that is gone. Behind the gate nobody else reads it.
        try leased { () throws(SystemCallError) in try Self.restore(file) }
        do throws(MachineLeaseError) {
            for setting in settings { try Self.set(setting.name, setting.value, noting: file) }
        } catch {
            try? Self.restore(file)
            throw error
        }
        _ = consume gate
        self.file = file
        self.isExclusive = isExclusive
    }

    deinit {
        // Nothing can be done here about a failure; the file stays, and the next run tries again.
        if isExclusive { try? Self.restore(file) }
    }

    private static func lock(
        _ file: borrowing FileDescriptor, shared: Bool
    ) throws(MachineLeaseError) {
        let deadline = MonotonicClock.now() + patience
        while true {
            let isOurs = try leased { () throws(SystemCallError) in
                try file.tryLock(shared: shared)
            }
            if isOurs { return }
            let now = MonotonicClock.now()
            guard now < deadline else {
                throw .taken(lock: path)
            }
            MonotonicClock.sleep(until: now + 20_000_000)
        }
    }

    /// Changes a setting, and notes in `file` what it was.
    ///
    /// A limit of the table below twice what the machine itself has in it is refused: connections
    /// of others would be turned away.
    private static func set(
        _ name: String, _ value: String, noting file: borrowing FileDescriptor
    ) throws(MachineLeaseError) {
        let old = try leased { () throws(SystemCallError) in try SysctlFile.read(name) }
        guard old != value else { return }
        let entries = (try? SysctlFile.read("net.netfilter.nf_conntrack_count")).flatMap { Int($0) }
        if name.hasSuffix("conntrack_max"), let limit = Int(value), limit > 0,
            limit < 2 * (entries ?? 0)
        {
            throw .setting(
                name: name, value: value,
                reason: "it holds for the whole machine, whose own table has \(entries ?? 0) "
                    + "entries")
        }
        let line = "\(name) \(value) \(old)\n"
        try leased { () throws(SystemCallError) in try file.write(Array(line.utf8).span) }
        do throws(SystemCallError) {
            try SysctlFile.write(name, value)
        } catch {
            throw .setting(name: name, value: value, reason: error.reason)
        }
    }

    private static func restore(_ file: borrowing FileDescriptor) throws(SystemCallError) {
        let text = String(decoding: try file.readAll(), as: UTF8.self)
        guard !text.isEmpty else { return }
        for line in text.split(separator: "\n").reversed() {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3, globalNames.contains(words[0]) else { continue }
            guard try SysctlFile.read(words[0]) == words[1] else { continue }
            try SysctlFile.write(words[0], words[2])
        }
        try file.truncate()
    }
}

/// Why the machine is not to be had.
public enum MachineLeaseError: Error, Sendable, CustomStringConvertible {
    /// Others have had it for too long; `lock` is the file they hold.
    case taken(lock: String)
    /// A setting cannot be made.
    case setting(name: String, value: String, reason: String)
    case call(SystemCallError)

    public var description: String {
        switch self {
        case .taken(let lock):
            "another run has this machine's kernel, and settings of the whole machine are at "
                + "stake; wait for it to end (it holds the lock on \(lock)), or wait longer with "
                + "CTLAB_LEASE_SECONDS=600"
        case .setting(let name, let value, let reason):
            "cannot set \(name) to '\(value)': \(reason)"
        case .call(let error): "\(error)"
        }
    }
}

/// Puts a system call's failure behind the lease's door.
private func leased<Value: ~Copyable>(
    _ body: () throws(SystemCallError) -> Value
) throws(MachineLeaseError) -> Value {
    do throws(SystemCallError) {
        return try body()
    } catch {
        throw .call(error)
    }
}
