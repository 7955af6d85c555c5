// What happened, in sentences with numbers: when the table filled, what filled it, what was refused,
// what clients saw, and which alert would have said so before.

/// Sentences about a run, most important first.
public enum Diagnosis {
    public static func sentences(_ summary: RunSummary) -> [String] {
        var sentences: [String] = []
        for node in summary.nodes { sentences += about(node) }
        for workload in summary.workloads where !workload.isHidden {
            sentences += about(workload)
        }
        if sentences.isEmpty { sentences.append("Nothing was refused, and nothing failed.") }
        return sentences
    }

    // MARK: A table

    private static func about(_ saved: SavedTableSummary, of node: String) -> [String] {
        var sentences: [String] = []
        if saved.refused > 0 {
            sentences.append(
                "\(node): \(count(UInt64(saved.refused))) of \(count(UInt64(saved.entries))) entries of "
                    + "\(saved.file) did not go in: the table is full, or has them already.")
        }
        if saved.withoutHelper > 0 {
            sentences.append(
                "\(node): \(count(UInt64(saved.withoutHelper))) entries of \(saved.file) go on without "
                    + "their helper: what it saw before is not in the file.")
        }
        return sentences
    }

    private static func about(_ node: NodeSummary) -> [String] {
        var sentences: [String] = []
        let evicted = node.counters["early_drop"] ?? 0
        let refused = node.drops["table_full"] ?? 0
        if let first = node.firstRefusalAt, let last = node.lastRefusalAt {
            let span = last > first ? " until \(time(last))" : ""
            sentences.append(
                "\(node.name): the table was full (\(count(node.contents.entries)) entries) at "
                    + "\(time(first)); from then\(span) \(count(refused)) packets were refused"
                    + (evicted > 0
                        ? ", and early drop evicted \(count(evicted)) unassured entries." : "."))
            sentences.append("\(node.name): \(contents(node.contents)).")
            sentences.append(alert(node, first))
        } else if evicted > 0 {
            sentences.append(
                "\(node.name): the table was full and early drop kept it alive: it evicted "
                    + "\(count(evicted)) unassured entries, and no packet was refused.")
            sentences.append("\(node.name): \(contents(node.contents)).")
        } else if let alertAt = node.alertAt {
            sentences.append(
                "\(node.name): no packet was refused; the table reached "
                    + "\(share(UInt64(node.peak), of: UInt64(node.max))) of nf_conntrack_max, and "
                    + "NodeHighNumberConntrackEntriesUsed (0.75) would have fired at "
                    + "\(time(alertAt)).")
        }
        if let saved = node.savedTable { sentences += about(saved, of: node.name) }
        sentences += failedInsertions(node)
        for (reason, text) in Self.dropTexts {
            guard let number = node.drops[reason], number > 0 else { continue }
            sentences.append("\(node.name): \(count(number)) packets \(text).")
        }
        if node.invalid > 0 {
            sentences.append(
                "\(node.name): \(count(node.invalid)) packets were INVALID to the tracker.")
        }
        let resolved = node.counters["clash_resolve"] ?? 0
        if resolved > 0 {
            sentences.append(
                "\(node.name): \(count(resolved)) races between packets of one flow were resolved "
                    + "(clash_resolve).")
        }
        return sentences
    }

    /// Reasons worth a sentence of their own, in order.
    private static let dropTexts = [
        ("chain_too_long", "were dropped because their hash chain was too long (chaintoolong)"),
        ("nat", "were dropped by address translation"),
        ("rejected", "were rejected by a rule"),
        ("rule", "were dropped by a rule"),
        ("no_route", "had nowhere to go"),
        ("cpu_backlog", "were dropped because the CPUs were too busy"),
    ]

    /// Drops at confirmation, which the kernel counts alike whatever their cause.
    ///
    /// No port was free when one was chosen; or one was, and another connection was in the table
    /// first.
    private static func failedInsertions(_ node: NodeSummary) -> [String] {
        var sentences: [String] = []
        let failed = node.drops["insert_failed"] ?? 0
        let lost = failed - min(failed, node.portRefusals)
        if node.portRefusals > 0 {
            sentences.append(
                "\(node.name): \(count(node.portRefusals)) packets were dropped because address "
                    + "translation found no free port for their connection (drop and "
                    + "insert_failed, no log line).")
        }
        if lost > 0 {
            sentences.append(
                "\(node.name): \(count(lost)) packets were dropped because their connection lost a "
                    + "race: between its making and its confirmation another one with the same "
                    + "tuple was entered (drop and insert_failed).")
        }
        return sentences
    }

    private static func contents(_ contents: TableContents) -> String {
        var parts: [String] = []
        if let largest = contents.protocols.first {
            parts.append("\(share(largest.count, of: contents.entries)) of it was \(largest.name)")
        }
        if let state = contents.states.first {
            parts.append("\(share(state.count, of: contents.entries)) \(state.name)")
        }
        if let owner = contents.workloads.first {
            parts.append(
                "\(share(owner.count, of: contents.entries)) belonged to \(owner.name)")
        }
        if contents.expired > 0 {
            parts.append(
                "\(share(contents.expired, of: contents.entries)) had expired and was not "
                    + "collected yet")
        }
        parts.append("\(share(contents.assured, of: contents.entries)) assured")
        return "at \(time(contents.at)) " + parts.joined(separator: ", ")
    }

    private static func alert(_ node: NodeSummary, _ firstRefusal: Double) -> String {
        let name = "NodeHighNumberConntrackEntriesUsed (0.75)"
        guard let alertAt = node.alertAt else {
            return "\(node.name): \(name) would not have fired before."
        }
        let lead = firstRefusal - alertAt
        guard lead >= 0 else {
            return "\(node.name): \(name) would have fired at \(time(alertAt)), "
                + "\(duration(-lead)) after the first drop."
        }
        return "\(node.name): \(name) would have fired at \(time(alertAt)), "
            + "\(duration(lead)) before the first drop."
    }

    // MARK: A workload

    private static func about(_ workload: WorkloadSummary) -> [String] {
        var sentences: [String] = []
        let failed = workload.failedCount
        if failed > 0 {
            let reasons = workload.failed.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .map { "\(count($0.value)) \($0.key)" }
            sentences.append(
                "\(workload.name): \(count(failed)) of \(count(workload.started)) flows failed "
                    + "(\(reasons.joined(separator: ", "))).")
        }
        if workload.waiting > 0 {
            sentences.append(
                "\(workload.name): \(count(workload.waiting)) of \(count(workload.started)) flows "
                    + (workload.waiting == 1 ? "was" : "were")
                    + " still waiting for a connection or an answer at the end, for more than "
                    + "a second.")
        }
        let refused = workload.drops["table_full"] ?? 0
        if refused > 0 || workload.retransmittedSYNs > 0, let connect = workload.connect {
            sentences.append(
                "\(workload.name): clients sent \(count(workload.retransmittedSYNs)) SYNs again; "
                    + "where it succeeded, connecting took \(NumberText.latency(connect.p50)) (median), "
                    + "\(NumberText.latency(connect.p99)) (p99), "
                    + "\(NumberText.latency(connect.max)) at most.")
        }
        if workload.repeatedQueries > 0 {
            sentences.append(
                "\(workload.name): \(count(workload.repeatedQueries)) queries were sent again "
                    + "after their timeout.")
        }
        if workload.isRaw, refused > 0 {
            sentences.append(
                "\(workload.name): \(count(refused)) of \(count(workload.packetsSent)) packets met "
                    + "a full table.")
        }
        return sentences
    }

    // MARK: Figures

    private static func count(_ value: UInt64) -> String { NumberText.grouped(value) }

    private static func share(_ part: UInt64, of whole: UInt64) -> String {
        guard whole > 0 else { return "0 %" }
        let percent = Double(part) / Double(whole) * 100
        return percent >= 10 || percent == 0
            ? "\(Int(percent.rounded())) %" : "\(NumberText.plain((percent * 10).rounded() / 10)) %"
    }

    private static func time(_ seconds: Double) -> String {
        NumberText.duration(UInt64(seconds * 1e9))
    }

    private static func duration(_ seconds: Double) -> String {
        NumberText.duration(UInt64(seconds * 1e9))
    }
}
