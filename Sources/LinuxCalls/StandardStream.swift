import Glibc

/// Standard output or standard error, written to without a buffer in between.
public enum StandardStream: Int32, Sendable {
    case output = 1
    case error = 2

    /// Whether a person is looking at it.
    public var isTerminal: Bool { isatty(rawValue) == 1 }

    private var name: String { self == .output ? "standard output" : "standard error" }

    /// Writes all of `bytes`.
    ///
    /// A reader that has gone away is an error with `isReaderGone`, once `surviveClosedReaders`
    /// was called.
    public func write(_ bytes: Span<UInt8>) throws(SystemCallError) {
        var written = 0
        while written < bytes.count {
            let rest = bytes.extracting(written..<bytes.count)
            let count = try unlessItWouldBlock("write", name) {
                unsafe rest.withUnsafeBytes { buffer in
                    unsafe Glibc.write(rawValue, buffer.baseAddress, buffer.count)
                }
            }
            if let count { written += count } else { waitForRoom() }
        }
    }

    /// Waits until a stream that was told not to wait takes bytes again.
    private func waitForRoom() {
        var entry = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&entry, 1, -1)
    }

    /// Makes a reader that goes away an error of `write` instead of this process's end.
    public static func surviveClosedReaders() { _ = signal(SIGPIPE, SIG_IGN) }
}

extension SystemCallError {
    /// Whoever read from a pipe has gone.
    public var isReaderGone: Bool { code == EPIPE }
}
