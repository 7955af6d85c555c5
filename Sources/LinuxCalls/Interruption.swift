import CLinuxShims
import Glibc

/// Somebody asked the command to stop (Ctrl-C, a polite kill, or a terminal that was closed).
public struct Interrupted: Error, Sendable, Hashable {
    public init() {}
}

/// Turns SIGINT, SIGTERM and SIGHUP from the process's end into something that can be asked about.
///
/// While a value of this type lives, the signals wait in a descriptor. SIGHUP stays ignored where
/// whoever started the process had it so, as nohup does. Whoever is about to read
/// input asks `wait(forInput:)` first, which returns when there is input, and throws when there is a
/// signal: a read that would last for ever is no reason to ignore one.
public struct Interruption: ~Copyable {
    private let descriptor: Int32
    private var mask = sigset_t()

    /// Returns `nil` where the system has no descriptor left.
    public init?() {
        var signals = sigset_t()
        _ = unsafe sigemptyset(&signals)
        _ = unsafe sigaddset(&signals, SIGINT)
        _ = unsafe sigaddset(&signals, SIGTERM)
        // A signal that is blocked waits even where it would be ignored.
        if ctlab_ignores_hangup() == 0 { _ = unsafe sigaddset(&signals, SIGHUP) }
        descriptor = unsafe ctlab_signal_descriptor(&signals)
        guard descriptor >= 0 else { return nil }
        _ = unsafe sigprocmask(SIG_BLOCK, &signals, &mask)
    }

    deinit {
        var mask = mask
        _ = Glibc.close(descriptor)
        _ = unsafe sigprocmask(SIG_SETMASK, &mask, nil)
    }

    /// Whether a signal waits, whoever holds the value that makes it wait.
    ///
    /// For what is too deep in to be handed one. A signal somebody has taken waits no more.
    public static var isWaiting: Bool {
        var signals = sigset_t()
        guard unsafe sigpending(&signals) == 0 else { return false }
        return [SIGINT, SIGTERM, SIGHUP].contains { unsafe sigismember(&signals, $0) == 1 }
    }

    /// Waits for input on `input` (a descriptor's number), or throws when a signal came first.
    public func wait(forInput input: Int32) throws(Interrupted) {
        var entries = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: input, events: Int16(POLLIN), revents: 0),
        ]
        while unsafe poll(&entries, 2, -1) < 0, ctlab_errno() == EINTR {}
        if entries[0].revents != 0 { throw Interrupted() }
    }

    /// Forgets a signal that came, so that another one is noticed; whether there was one.
    public func take() -> Bool {
        var information = [UInt8](repeating: 0, count: MemoryLayout<signalfd_siginfo>.size)
        return unsafe read(descriptor, &information, information.count) > 0
    }

    /// Whether a signal came.
    public var hasHappened: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, 0) > 0
    }
}
