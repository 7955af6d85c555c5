import Conntrack
import Report

// What happened, one JSON object a line: the timeline's events and the kernels' logs, by time.

extension Run {
    /// The lines of events.jsonl.
    public var eventLines: String {
        var events: [(at: UInt64, order: Int, line: String)] = []
        func add(_ at: UInt64, _ kind: String, _ node: String?, _ text: String) {
            var json = JSONText()
            json.object { json in
                json.key("time")
                json.value(NumberText.seconds(at))
                json.key("event")
                json.value(kind)
                if let node {
                    json.key("node")
                    json.value(node)
                }
                json.key("text")
                json.value(text)
            }
            events.append((at, events.count, String(decoding: json.bytes, as: UTF8.self)))
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
        events.sort { ($0.at, $0.order) < ($1.at, $1.order) }
        return events.map { $0.line + "\n" }.joined()
    }
}
