internal import Glibc

/// A program of the system, run to its end.
public struct Program: Sendable {
    /// How a run ended.
    public struct Outcome: Sendable {
        /// The exit code; 128 + the signal's number if a signal ended it.
        public let exitCode: Int32
        public let output: String
        public let errors: String
    }

    public let path: String

    /// Finds `name` where system programs are.
    ///
    /// - Returns: `nil` if it is nowhere there.
    public init?(named name: String) {
        let places = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"]
        guard let place = places.first(where: { TextFile.isExecutable("\($0)/\(name)") }) else {
            return nil
        }
        path = "\(place)/\(name)"
    }

    /// Where a shell of this process would find `name`; `nil` if nowhere.
    public static func path(of name: String) -> String? {
        (Environment.value("PATH") ?? "/usr/bin:/bin").split(separator: ":")
            .map { "\($0)/\(name)" }.first { TextFile.isExecutable($0) }
    }

    /// Runs it with `input` at its standard input, in the calling thread's namespaces.
    public func run(
        _ arguments: [String], input: String = ""
    ) throws(SystemCallError) -> Outcome {
        // Files instead of pipes: nobody has to wait for anybody.
        let standardInput = try FileDescriptor.memoryFile("input")
        let standardOutput = try FileDescriptor.memoryFile("output")
        let standardError = try FileDescriptor.memoryFile("errors")
        if !input.isEmpty { try standardInput.write(Array(input.utf8).span) }
        let raw = standardInput.raw
        try checked("lseek", "input") { lseek(raw, 0, SEEK_SET) }

        let process = try start(
            arguments, [standardInput.raw, standardOutput.raw, standardError.raw])
        var status: Int32 = 0
        try checked("waitpid", path) { unsafe waitpid(process, &status, 0) }
        let signal = status & 0x7F
        return Outcome(
            exitCode: signal == 0 ? (status >> 8) & 0xFF : 128 + signal,
            output: String(decoding: try standardOutput.readAll(), as: UTF8.self),
            errors: String(decoding: try standardError.readAll(), as: UTF8.self))
    }

    /// Starts the program with `descriptors` as its 0, 1 and 2.
    private func start(
        _ arguments: [String], _ descriptors: [Int32]
    ) throws(SystemCallError) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        _ = unsafe posix_spawn_file_actions_init(&actions)
        defer { _ = unsafe posix_spawn_file_actions_destroy(&actions) }
        for (number, descriptor) in descriptors.enumerated() {
            _ = unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
        }
        let words = unsafe Self.copy([path] + arguments)
        let environment = unsafe Self.copy(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"])
        defer {
            unsafe Self.free(words)
            unsafe Self.free(environment)
        }
        var process: pid_t = 0
        let code = unsafe posix_spawn(&process, path, &actions, nil, words, environment)
        guard code == 0 else { throw SystemCallError(call: "posix_spawn \(path)", code: code) }
        return process
    }

    private static func free(_ words: [UnsafeMutablePointer<CChar>?]) {
        for index in unsafe words.indices { unsafe Glibc.free(words[index]) }
    }

    /// C strings of `words` with the null behind them; `free` takes them back.
    private static func copy(_ words: [String]) -> [UnsafeMutablePointer<CChar>?] {
        unsafe words.map { unsafe strdup($0) } + [nil]
    }
}

/// This process's environment.
public enum Environment {
    /// The variable `name`; `nil` if there is none.
    public static func value(_ name: String) -> String? {
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }
}
