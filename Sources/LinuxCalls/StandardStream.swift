import CLinuxShims
import Glibc

/// Why a standard stream took no more bytes.
public enum StreamError: Error, Sendable, Hashable {
    /// Whoever read the stream has gone.
    case readerGone
    /// `errno`.
    case failed(code: Int32)

    /// The system's words.
    public var reason: String {
        switch self {
        case .readerGone: unsafe String(cString: strerror(EPIPE))
        case .failed(let code): unsafe String(cString: strerror(code))
        }
    }
}

/// Standard output or standard error, written to without a buffer in between.
public enum StandardStream: Int32, Sendable {
    case output = 1
    case error = 2

    /// Whether a person is looking at it.
    public var isTerminal: Bool { isatty(rawValue) == 1 }

    /// Writes all of `bytes`.
    public func write(_ bytes: Span<UInt8>) throws(StreamError) {
        var written = 0
        while written < bytes.count {
            let rest = bytes.extracting(written..<bytes.count)
            let count = unsafe rest.withUnsafeBytes { buffer in
                unsafe Glibc.write(rawValue, buffer.baseAddress, buffer.count)
            }
            if count < 0 {
                let code = ctlab_errno()  // Read at once: the next call may overwrite it.
                if code == EINTR { continue }
                if code == EAGAIN {
                    waitForRoom()
                    continue
                }
                throw code == EPIPE ? .readerGone : .failed(code: code)
            }
            written += count
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
