internal import CLinuxShims
internal import Glibc

/// A program running beside this one, with a pipe to its standard input and one from its standard
/// output; its standard error is ours.
///
/// It is in the namespaces of the thread that started it. Signals this process has blocked are
/// blocked there as well. The end of its input is how it notices that nobody wants it any more,
/// however we ended; a value that goes closes the pipes, and kills it if it is still there.
///
/// A class: whoever starts several keeps them in an array, which holds no values with one owner.
public final class ChildProcess {
    public let processIdentifier: Int32
    /// Where it writes; does not wait.
    public let output: FileDescriptor
    /// Its standard input, as a number; -1 once it is closed.
    private var input: Int32
    private var outcome: Int32?
    /// Bytes of a line that is not complete yet.
    private var unfinished: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)
    private let longestLine: Int
    /// Buffers one call reads at most: a child that never pauses is no reason not to return.
    private static let readsAtOnce = 16

    /// Starts the program at `path`; `/proc/self/exe` is this one.
    ///
    /// - Parameters:
    ///   - kept: Variables of this process's environment it gets as well; it has its own PATH
    ///     unless that is among them.
    ///   - longestLine: Bytes of a line at most.
    public init(
        _ path: String, _ arguments: [String], keeping kept: [String] = [],
        longestLine: Int = 64 << 20
    ) throws(SystemCallError) {
        self.longestLine = longestLine
        let (childInputNumber, inputNumber) = try Self.pipe()
        let childInput = FileDescriptor(owning: childInputNumber, name: "pipe")
        let outputNumber: Int32
        let childOutputNumber: Int32
        do throws(SystemCallError) {
            (outputNumber, childOutputNumber) = try Self.pipe()
        } catch {
            _ = Glibc.close(inputNumber)
            throw error
        }
        let ourOutput = FileDescriptor(owning: outputNumber, name: "pipe")
        let childOutput = FileDescriptor(owning: childOutputNumber, name: "pipe")
        var actions = unsafe posix_spawn_file_actions_t()
        _ = unsafe posix_spawn_file_actions_init(&actions)
        defer { _ = unsafe posix_spawn_file_actions_destroy(&actions) }
        _ = unsafe posix_spawn_file_actions_adddup2(&actions, childInput.raw, 0)
        _ = unsafe posix_spawn_file_actions_adddup2(&actions, childOutput.raw, 1)
        let words = unsafe ([path] + arguments).map { unsafe strdup($0) } + [nil]
        let variables = Self.environment(keeping: kept)
        let environment = unsafe variables.map { unsafe strdup($0) } + [nil]
        defer {
            for index in unsafe words.indices { unsafe Glibc.free(words[index]) }
            for index in unsafe environment.indices { unsafe Glibc.free(environment[index]) }
        }
        var process: pid_t = 0
        let code = unsafe posix_spawn(&process, path, &actions, nil, words, environment)
        guard code == 0 else {
            _ = Glibc.close(inputNumber)
            throw SystemCallError(call: "posix_spawn \(path)", code: code)
        }
        processIdentifier = process
        let raw = ourOutput.raw
        _ = fcntl(raw, F_SETFL, O_NONBLOCK)
        output = ourOutput
        input = inputNumber
    }

    deinit {
        if input >= 0 { _ = Glibc.close(input) }
        guard outcome == nil else { return }
        _ = Glibc.kill(processIdentifier, SIGKILL)
        var status: Int32 = 0
        _ = unsafe waitpid(processIdentifier, &status, 0)
    }

    private static func environment(keeping kept: [String]) -> [String] {
        let own = kept.compactMap { name in Environment.value(name).map { "\(name)=\($0)" } }
        let path = own.contains { $0.hasPrefix("PATH=") }
        return own + (path ? [] : ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]) + ["LC_ALL=C"]
    }

    /// The reading end and the writing end.
    private static func pipe() throws(SystemCallError) -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        try checked("pipe2") { unsafe ctlab_pipe(&ends) }
        return (ends[0], ends[1])
    }

    /// Writes a line to its input; a child that is gone does not mind.
    public func tell(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        var written = 0
        while written < bytes.count {
            let rest = bytes.span.extracting(written..<bytes.count)
            guard input >= 0 else { return }
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.write(input, $0.baseAddress, $0.count)
            }
            if count < 0, ctlab_errno() == EINTR { continue }
            guard count > 0 else { return }
            written += count
        }
    }

    /// Closes its input.
    public func closeInput() {
        if input >= 0 { _ = Glibc.close(input) }
        input = -1
    }

    /// Whole lines it has written since the last call, and whether there can be more.
    ///
    /// - Throws: `isTooLong` for a line that does not end.
    public func lines() throws(SystemCallError) -> (lines: [String], hasMore: Bool) {
        for _ in 0..<Self.readsAtOnce {
            guard let count = try output.read(into: &buffer) else { break }
            if count == 0 { return (takeLines(), false) }
            unfinished.append(contentsOf: buffer[..<count])
        }
        let lines = takeLines()
        guard unfinished.count <= longestLine else {
            throw SystemCallError(
                call: "read a line of process \(processIdentifier)", code: EMSGSIZE)
        }
        return (lines, true)
    }

    private func takeLines() -> [String] {
        guard let last = unfinished.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        let text = String(decoding: unfinished[..<last], as: UTF8.self)
        unfinished.removeFirst(last + 1)
        return text.split(separator: "\n").map(String.init)
    }

    /// Waits for its end: the exit code; 128 + the signal's number if a signal ended it.
    public func wait() -> Int32 {
        if let outcome { return outcome }
        var status: Int32 = 0
        while unsafe waitpid(processIdentifier, &status, 0) < 0, ctlab_errno() == EINTR {}
        let signal = status & 0x7F
        let code = signal == 0 ? (status >> 8) & 0xFF : 128 + signal
        outcome = code
        return code
    }

    /// Ends it at once.
    public func kill() {
        guard outcome == nil else { return }
        _ = Glibc.kill(processIdentifier, SIGKILL)
    }
}

/// Standard input, as lines; does not wait.
public struct StandardInput: ~Copyable {
    /// The stream itself, to be watched.
    public let descriptor: FileDescriptor
    private var unfinished: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)

    /// Takes standard input over; it is closed with this value.
    public init() throws(SystemCallError) {
        try checked("fcntl", "O_NONBLOCK") { fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) }
        descriptor = FileDescriptor(owning: STDIN_FILENO, name: "standard input")
    }

    /// The first line; it is read byte by byte.
    ///
    /// What stands behind it stays in the stream, where whoever watches that sees it.
    ///
    /// - Returns: `nil` for the line until it is whole.
    public mutating func firstLine() throws(SystemCallError) -> (line: String?, hasMore: Bool) {
        var byte: [UInt8] = [0]
        while let count = try descriptor.read(into: &byte) {
            guard count > 0 else { return (nil, false) }
            guard byte[0] == UInt8(ascii: "\n") else {
                unfinished.append(byte[0])
                continue
            }
            let text = String(decoding: unfinished, as: UTF8.self)
            unfinished = []
            return (text, true)
        }
        return (nil, true)
    }

    /// The whole lines since the last call, and whether there can be more.
    public mutating func lines() throws(SystemCallError) -> (lines: [String], hasMore: Bool) {
        var hasMore = true
        while let count = try descriptor.read(into: &buffer) {
            if count == 0 {
                hasMore = false
                break
            }
            unfinished.append(contentsOf: buffer[..<count])
        }
        guard let last = unfinished.lastIndex(of: UInt8(ascii: "\n")) else { return ([], hasMore) }
        let text = String(decoding: unfinished[..<last], as: UTF8.self)
        unfinished.removeFirst(last + 1)
        return (text.split(separator: "\n").map(String.init), hasMore)
    }
}
