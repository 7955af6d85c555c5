import Conntrack
import Testing
import Wire

/// `conntrack -E`: every event line of the samples, byte for byte.
@Suite struct EventLineTests {
    @Test(
        "conntrack -E, byte for byte",
        arguments: ["events_plain.txt", "events_ts_id_ext.txt", "events_ftp.txt"])
    func printsAsTheTool(_ file: String) {
        let lines = Fixture.lines("samples/" + file)
        var shown = 0
        for line in lines where line.contains(" src=") {
            // What a command of the tool itself caused carries more than a packet ever gives.
            if line.contains("[NEW]"), line.contains("[USERSPACE]") { continue }
            let expected = line.prefix(upTo: " [USERSPACE]").prefix(upTo: " helper=")
            #expect(ListedEntry(line).eventLine == String(expected))
            shown += 1
        }
        #expect(shown > 5)
    }

    @Test("conntrack -E counts what it showed")
    func countsEvents() {
        let last = Fixture.lines("samples/events_ftp.txt").last
        #expect(last == ToolMessage.eventsShown(6))
    }

    @Test("conntrack -E -o xml: the flow of the line with the same id")
    func printsXML() {
        let listed = Fixture.lines("samples/events_ts_id_ext.txt").filter { $0.contains(" src=") }
            .map { ListedEntry($0) }
        let flows = Fixture.lines("samples/events_xml.txt").filter { $0.hasPrefix("<flow ") }
        #expect(flows.count == listed.count)
        for (flow, listed) in zip(flows, listed) where !flow.contains("<mark>0</mark>") {
            var entry = listed.entry
            if let age = flow.split(separator: "<deltatime>").last?.prefix(while: \.isNumber) {
                entry.stop = entry.start + .seconds(Int64(age) ?? 0)
            }
            let event = ConntrackEvent(
                listed.eventKind ?? .new, entry, hasProtocolPart: listed.hasProtocolPart,
                at: listed.now)
            let expected = flow.prefix(upTo: " [USERSPACE]")
            #expect(listed.listing.eventXMLLine(event) == String(expected))
        }
    }

    @Test("a connection that ends early is destroyed with its whole seconds and its state")
    func destroysAfterReset() {
        var entry = ListedEntry.tcp.entry
        entry.status = [.confirmed]
        entry.protocolState = 8
        entry.remainingTicks = 119 * 250 + 249
        let line = Listing(ListedEntry.tcp.base).eventLine(
            ConntrackEvent(.destroy, entry, hasProtocolPart: true, at: .start))
        #expect(line.hasPrefix("[DESTROY] tcp      6 119 CLOSE src="))
        #expect(line.contains(" [UNREPLIED] "))
    }

    @Test("a connection whose time is over is destroyed without seconds")
    func leavesOutSeconds() {
        var entry = ListedEntry.tcp.entry
        // Less than a whole second counts as nothing, too: observed on 6.18.
        for ticks in [Int32(249), 0, -500] {
            entry.remainingTicks = ticks
            let event = ConntrackEvent(.destroy, entry, hasProtocolPart: true, at: .start)
            let line = Listing(ListedEntry.tcp.base).eventLine(event)
            #expect(line.hasPrefix("[DESTROY] tcp      6 ESTABLISHED src="))
        }
    }

    @Test("the age: the tool subtracts wall-clock seconds, /proc and XML of a DESTROY divide")
    func countsAge() {
        var entry = ListedEntry.tcp.entry
        entry.hasTimestamp = true
        entry.start = .start + .milliseconds(800)
        entry.stop = .start + .milliseconds(1100)
        let listing = ListedEntry.tcp.listing
        let destroy = ConntrackEvent(.destroy, entry, hasProtocolPart: true, at: entry.stop)
        #expect(listing.line(entry, at: entry.stop).contains(" delta-time=1 "))
        #expect(listing.xmlLine(entry, at: entry.stop).contains("<deltatime>1<"))
        #expect(listing.eventLine(destroy).hasSuffix(" delta-time=1"))
        #expect(listing.eventXMLLine(destroy).contains("<deltatime>0<"))
        #expect(listing.procLine(entry, at: entry.stop, Sysctl()).contains(" delta-time=0 "))
    }

    @Test("the dates of an ended connection are its own")
    func printsStartAndStop() {
        var entry = ListedEntry.tcp.entry
        entry.hasTimestamp = true
        entry.start = .start + .seconds(10)
        entry.stop = entry.start + .milliseconds(1900)
        // Sat Nov 21 01:26:39 2026.
        let base = TimeBase(
            tickRate: .reference, epochNanoseconds: 1_795_224_399_000_000_000)
        let listing = Listing(base, options: [.kernelTimestamp])
        let line = listing.eventLine(
            ConntrackEvent(.destroy, entry, hasProtocolPart: true, at: entry.stop))
        #expect(
            line.hasSuffix(
                "delta-time=1 [start=Sat Nov 21 01:26:49 2026] [stop=Sat Nov 21 01:26:50 2026]"))
    }
}

extension StringProtocol {
    fileprivate func prefix(upTo mark: String) -> Substring {
        let text = Substring(self)
        return text.firstRange(of: mark).map { text[..<$0.lowerBound] } ?? text
    }
}
