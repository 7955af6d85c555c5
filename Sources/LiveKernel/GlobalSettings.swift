internal import LinuxCalls

/// The few settings that are one for the whole machine (spec protocols.md §12, scope G), changed
/// for a while.
///
/// What is changed is written down first, with what it was, in a file that outlives the process.
/// Whoever comes next finds it, sees by its lock that its owner is gone, and puts things back; the
/// owner itself does so when it goes. A setting that somebody else has changed in the meantime is
/// left alone.
struct GlobalSettings: ~Copyable {
    static let names: Set<String> = [
        "net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets",
        "net.netfilter.nf_conntrack_expect_max",
    ]

    private static let directory = "/run/ctlab"
    private static let path = "/run/ctlab/changed-sysctls"

    private let file: FileDescriptor

    /// Puts back what a process that is gone has left, and takes the right to change settings.
    ///
    /// - Throws: `.unavailable` while another process has it.
    init() throws(LiveKernelError) {
        let file = try live { () throws(SystemCallError) -> FileDescriptor in
            try TextFile.makeDirectory(Self.directory)
            return try FileDescriptor(opening: Self.path, for: .create)
        }
        let isFree = try live { () throws(SystemCallError) in try file.tryLock() }
        guard isFree else {
            throw .unavailable(
                "another run has changed settings of the whole machine",
                remedy: "wait for it to end (it holds the lock on \(Self.path))")
        }
        try live { () throws(SystemCallError) in try Self.restore(file) }
        self.file = file
    }

    deinit {
        // Nothing can be done here about a failure; the file stays, and the next run tries again.
        try? Self.restore(file)
    }

    /// Puts back what a process that is gone has left, if there is such a thing.
    static func recover() throws(LiveKernelError) {
        guard TextFile.exists(path) else { return }
        do throws(LiveKernelError) {
            _ = try GlobalSettings()
        } catch {
            // Its owner is alive: then there is nothing to put back yet.
            guard error.isUnavailable else { throw error }
        }
    }

    /// Changes a setting until this value goes.
    ///
    /// A limit of the table below twice what the machine itself has in it is refused: connections
    /// of others would be turned away.
    borrowing func set(_ name: String, _ value: String) throws(LiveKernelError) {
        let old = try live { () throws(SystemCallError) in try SysctlFile.read(name) }
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
        try live { () throws(SystemCallError) in try file.write(Array(line.utf8).span) }
        do throws(SystemCallError) {
            try SysctlFile.write(name, value)
        } catch {
            throw .setting(name: name, value: value, reason: error.reason)
        }
    }

    private static func restore(
        _ file: borrowing FileDescriptor
    ) throws(SystemCallError) {
        let text = String(decoding: try file.readAll(), as: UTF8.self)
        for line in text.split(separator: "\n").reversed() {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3, names.contains(words[0]) else { continue }
            guard try SysctlFile.read(words[0]) == words[1] else { continue }
            try SysctlFile.write(words[0], words[2])
        }
        try file.truncate()
    }
}
