import Conntrack
import LinuxCalls
import Report
import Simulator

/// A line on a terminal that says how far something is, written over itself.
struct ProgressLine {
    let isShown: Bool
    private let began = MonotonicClock.now()
    private var shownAt: UInt64 = 0

    /// Shows nothing where `isQuiet`, or where standard error is no terminal.
    init(isQuiet: Bool) { isShown = !isQuiet && StandardStream.error.isTerminal }

    /// How far a simulation is.
    mutating func show(_ progress: Simulator.Run.Progress) {
        guard isShown else { return }
        let now = MonotonicClock.now()
        guard now - shownAt > 100_000_000 else { return }
        shownAt = now
        let share =
            Double(progress.now.nanoseconds) / Double(max(1, progress.end.nanoseconds))
        let filled = Int(share * 24)
        let bar =
            String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
        let speed = Double(progress.now.nanoseconds) / Double(max(1, now - began))
        var text =
            "\(bar) \(NumberText.duration(progress.now.nanoseconds)) of "
            + "\(NumberText.duration(progress.end.nanoseconds))  "
            + "\(NumberText.plain((speed * 10).rounded() / 10))×"
        if !progress.node.isEmpty {
            text +=
                "  \(progress.node) \(NumberText.grouped(UInt64(progress.count)))/"
                + "\(NumberText.grouped(UInt64(progress.max)))"
                + "  drops \(NumberText.grouped(progress.drops))"
        }
        write(text)
    }

    /// How far a measurement is.
    func show(seconds: Int, of whole: UInt64, entries: Int) {
        guard isShown else { return }
        write("\(seconds) of \(whole) s, \(entries) entries")
    }

    func clear() { if isShown { write("") } }

    private func write(_ text: String) {
        _ = try? StandardStream.error.write(Array("\r\u{1b}[K\(text)".utf8).span)
    }
}
