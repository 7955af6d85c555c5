import Conntrack
import Report
import Scenario

// What happened, one JSON object a line, by time: the timeline's events, the kernels' logs, alerts,
// and the ctnetlink messages that were kept.

extension Run {
    private enum Happening {
        /// A sentence about a node, or about the run.
        case told(kind: String, node: String?, text: String)
        case message(tracker: Int, ConntrackEvent)
    }

    /// Hands over the lines of events.jsonl, each with its line feed, in pieces.
    ///
    /// Messages beyond `RunOptions.eventLimit` are counted by a last line, `"event": "left_out"`.
    public mutating func writeEvents(_ write: ([UInt8]) -> Void) {
        simulation.gatherEvents()
        var happenings = told()
        for (tracker, event) in simulation.events?.kept ?? [] {
            happenings.append((event.at.nanoseconds, .message(tracker: tracker, event)))
        }
        // Where times are equal, what stands first here comes first.
        let order = happenings.indices.sorted {
            (happenings[$0].at, $0) < (happenings[$1].at, $1)
        }
        let recorders = simulation.trackers.map { home in
            OutcomeRecorder(
                interfaceNames: simulation.names[home.station].interfaces,
                base: TimeBase(
                    tickRate: home.node.configuration.tickRate, epochNanoseconds: 0)
            ) { _ in "" }
        }
        var text = JSONText()
        for place in order {
            line(happenings[place].at, happenings[place].what, recorders, &text)
            guard text.bytes.count > 1 << 20 else { continue }
            write(text.bytes)
            text.removeWritten()
        }
        if let count = simulation.events?.leftOutCount, count > 0 {
            let kept = simulation.events?.limit ?? 0
            line(
                now.nanoseconds,
                .told(
                    kind: "left_out", node: nil,
                    text: "\(count) ctnetlink messages behind the first \(kept) (--events)"),
                recorders, &text)
        }
        write(text.bytes)
    }

    /// Messages that were kept, and that were not.
    public var eventCounts: (kept: Int, leftOut: UInt64) {
        (simulation.events?.kept.count ?? 0, simulation.events?.leftOutCount ?? 0)
    }

    private func told() -> [(at: UInt64, what: Happening)] {
        var happenings: [(at: UInt64, what: Happening)] = []
        func add(_ at: UInt64, _ kind: String, _ node: String?, _ text: String) {
            happenings.append((at, .told(kind: kind, node: node, text: text)))
        }
        for note in simulation.notes { add(note.at, "timeline", nil, note.text) }
        for log in kernelLogs {
            for line in log.lines { add(line.at.nanoseconds, "kernel_log", log.node, line.text) }
        }
        for (tracker, home) in simulation.trackers.enumerated() {
            let name = simulation.names[home.station].name
            if let alert = recorder.alerts[tracker] {
                add(alert, "alert", name, "NodeHighNumberConntrackEntriesUsed")
            }
            if let first = home.firstRefusal {
                add(first, "table_full", name, "first packet refused")
            }
        }
        return happenings
    }

    private func line(
        _ at: UInt64, _ happening: Happening, _ recorders: [OutcomeRecorder],
        _ text: inout JSONText
    ) {
        text.object { json in
            json.key("time")
            json.value(NumberText.seconds(at))
            json.key("event")
            switch happening {
            case .told(let kind, let node, let words):
                json.value(kind)
                if let node {
                    json.key("node")
                    json.value(node)
                }
                json.key("text")
                json.value(words)
            case .message(let tracker, let event):
                let record = recorders[tracker].record(event)
                json.value(record.type)
                json.key("node")
                json.value(simulation.names[simulation.trackers[tracker].station].name)
                json.key("entry")
                json.value(record.entry)
            }
        }
        text.endLine()
    }
}
