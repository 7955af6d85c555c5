import Conntrack
import LinuxCalls
import Replay
import Report

/// Standard output of `ctlab replay`, gathered into large writes.
struct ReplayOutput: ReplaySink {
    /// Why standard output takes no more.
    private(set) var failure: SystemCallError?

    private let format: ReplayCommand.Format
    private let text: OutcomeText
    private let showsEvents: Bool
    /// What gathers: objects in one format, lines in the others.
    private var json = JSONText()
    private var bytes: [UInt8] = []

    /// Bytes that gather before they are written; somebody who is watching gets every line at once.
    private let flushByteCount: Int

    init(
        format: ReplayCommand.Format, isColoured: Bool, showsEvents: Bool,
        interfaceNames: [String], isLive: Bool
    ) {
        self.format = format
        text = OutcomeText(isColoured: isColoured, interfaceNames: interfaceNames)
        self.showsEvents = showsEvents
        flushByteCount = isLive || StandardStream.output.isTerminal ? 1 : 64 << 10
    }

    var isClosed: Bool { failure != nil }

    mutating func take(_ outcome: PacketOutcome) {
        switch format {
        case .none: break
        case .jsonl:
            json.line(outcome)
            if json.bytes.count >= flushByteCount { flush() }
        case .text:
            if let before = outcome.before, let line = text.line(before: outcome.packet, before) {
                write(line: line)
            }
            write(line: text.line(outcome))
            for line in text.story(outcome) { write(line: line) }
        }
    }

    mutating func take(_ event: ConntrackEvent, _ base: TimeBase) {
        if showsEvents { write(line: Listing(base).eventLine(event)) }
    }

    /// The head of a part that is not alone.
    mutating func section(_ command: String, _ hasHead: Bool) {
        guard hasHead else { return }
        write(line: "")
        write(line: "$ \(command)")
    }

    mutating func write(line: String) {
        bytes.append(contentsOf: line.utf8)
        bytes.append(UInt8(ascii: "\n"))
        if bytes.count >= flushByteCount { flush() }
    }

    /// The last line, entry by entry: a large table is never in memory as text.
    mutating func write(final record: FinalRecord, table: some Sequence<EntryRecord>) {
        var json = JSONText()
        swap(&json, &self.json)
        json.line(final: record, table: table) { json in
            guard json.bytes.count >= flushByteCount else { return }
            failure = failure ?? Self.write(json.bytes.span)
            json.removeWritten()
        }
        swap(&json, &self.json)
        flush()
    }

    mutating func flush() {
        failure = failure ?? Self.write(bytes.span)
        bytes.removeAll(keepingCapacity: true)
        failure = failure ?? Self.write(json.bytes.span)
        json.removeWritten()
    }

    /// Writes to standard output; returns why it could not.
    private static func write(_ bytes: Span<UInt8>) -> SystemCallError? {
        guard !bytes.isEmpty else { return nil }
        do {
            try StandardStream.output.write(bytes)
            return nil
        } catch {
            return error
        }
    }
}
