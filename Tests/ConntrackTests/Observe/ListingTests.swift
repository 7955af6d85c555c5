import Conntrack
import Testing
import Wire

/// Every line a real tool printed comes out of our writer with the same bytes.
@Suite struct ListingTests {
    static let plain = [
        ("conntrack_L.txt", "conntrack -L"), ("conntrack_L_zone.txt", "conntrack -L --zone 7"),
        ("conntrack_L_zone.txt", "conntrack -L --orig-zone 8"),
        ("conntrack_L_zone.txt", "conntrack -L --reply-zone 9"),
        ("conntrack_L_ext_id_ts.txt", "conntrack -L -o extended"),
        ("conntrack_L_ext_id_ts.txt", "conntrack -L -o id"),
        ("conntrack_L_ext_id_ts.txt", "conntrack -L -o timestamp"),
        ("conntrack_L_ext_id_ts.txt", "conntrack -L -o ktimestamp"),
        ("conntrack_L_ext_id_ts.txt", "conntrack -L -o extended,id,ktimestamp -p tcp"),
    ]

    @Test("conntrack -L, byte for byte", arguments: plain)
    func printsAsTheTool(_ sample: (file: String, command: String)) {
        let output = Fixture.output(of: sample.command, in: sample.file)
        #expect(output.count > 1)
        for line in output.dropLast() {
            let listed = ListedEntry(line)
            #expect(listed.listing.line(listed.entry, at: listed.now) == line)
        }
        #expect(output.last == ToolMessage.flowsShown(output.count - 1))
    }

    @Test("conntrack -L of a TCP life, state by state")
    func printsEveryTCPState() {
        let lines = Fixture.lines("samples/conntrack_L_tcp_states.txt")
            .filter { $0.hasPrefix("tcp ") }
        #expect(lines.count >= 8)
        for line in lines {
            let listed = ListedEntry(line)
            #expect(listed.listing.line(listed.entry, at: listed.now) == line)
        }
    }

    @Test("/proc/net/nf_conntrack, byte for byte")
    func printsAsProc() {
        let lines = Fixture.output(
            of: "cat /proc/net/nf_conntrack", in: "proc_net_nf_conntrack.txt")
        #expect(lines.count == 9)
        for line in lines {
            let listed = ListedEntry(line)
            let listing = Listing(listed.base)
            #expect(listing.procLine(listed.entry, at: listed.now, Sysctl()) == line)
        }
    }

    /// Rows of one observation of Linux 6.18 each: protocols beside the common ones.
    @Test(
        "the tool and /proc name every protocol as observed on 6.18",
        arguments: [
            (
                "dccp     33 599 src=10.0.0.2 dst=10.0.1.2 sport=0 dport=0 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=0 dport=0 mark=0 use=1",
                "ipv4     2 unknown  33 599 src=10.0.0.2 dst=10.0.1.2 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 mark=0 zone=0 use=2"
            ),
            (
                "unknown  50 599 src=10.0.0.2 dst=10.0.1.2 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 mark=0 use=1",
                "ipv4     2 unknown  50 599 src=10.0.0.2 dst=10.0.1.2 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 mark=0 zone=0 use=2"
            ),
            (
                "sctp     132 9 CLOSED src=10.0.0.2 dst=10.0.1.2 sport=10 dport=20 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=20 dport=10 mark=0 use=1",
                "ipv4     2 sctp     132 9 CLOSED src=10.0.0.2 dst=10.0.1.2 sport=10 dport=20 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=20 dport=10 mark=0 zone=0 use=2"
            ),
            (
                "gre      47 29 src=10.0.0.2 dst=10.0.1.2 srckey=0x0 dstkey=0x1234 packets=1 bytes=32 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 srckey=0x1234 dstkey=0x0 packets=0 bytes=0 mark=0 delta-time=0 use=1",
                "ipv4     2 gre      47 29 timeout=30, stream_timeout=180 src=10.0.0.2 dst=10.0.1.2 srckey=0x0 dstkey=0x1234 packets=1 bytes=32 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 srckey=0x1234 dstkey=0x0 packets=0 bytes=0 mark=0 zone=0 delta-time=0 use=2"
            ),
            (
                "udp      17 0 src=10.0.0.2 dst=10.0.1.2 sport=100 dport=53 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=53 dport=100 mark=0 use=1",
                "ipv4     2 udp      17 0 src=10.0.0.2 dst=10.0.1.2 sport=100 dport=53 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=53 dport=100 mark=0 zone=0 use=2"
            ),
        ])
    func namesProtocols(_ tool: String, _ proc: String) {
        let listed = ListedEntry(tool)
        #expect(listed.listing.line(listed.entry, at: listed.now) == tool)
        #expect(listed.listing.procLine(listed.entry, at: listed.now, Sysctl()) == proc)
    }

    @Test("an offloaded connection says so instead of ASSURED, and /proc drops its seconds")
    func saysOffloaded() {
        var entry = ListedEntry.tcp.entry
        entry.status = [.seenReply, .assured, .offload]
        let listing = ListedEntry.tcp.listing
        #expect(listing.line(entry, at: .start).hasSuffix("dport=40000 [OFFLOAD] mark=0 use=1"))
        #expect(
            listing.procLine(entry, at: .start, Sysctl()).hasPrefix("ipv4     2 tcp      6 EST"))
        entry.status.insert(.hardwareOffload)
        #expect(listing.line(entry, at: .start).contains(" [HW_OFFLOAD] mark=0"))
    }

    // MARK: Forms other than lines

    @Test("conntrack -L -o save, byte for byte")
    func savesAsTheTool() {
        let listed = Fixture.output(of: "conntrack -L", in: "conntrack_L.txt").dropLast()
        let saved = Fixture.output(of: "conntrack -L -o save", in: "conntrack_L_save.txt")
            .dropLast()
        #expect(listed.count == saved.count)
        for (line, save) in zip(listed, saved) {
            var entry = ListedEntry(line).entry
            // The two listings were taken a moment apart.
            let seconds = save.split(separator: " ")[2]
            entry.remainingTicks = (Int32(seconds) ?? -1) * 250
            #expect(ListedEntry.tcp.listing.saveLine(entry) == save)
        }
    }

    @Test(
        "-o save of the other protocols, as observed on 6.18",
        arguments: [
            (
                "unknown  41 599 src=10.0.0.2 dst=10.0.1.2 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 mark=0 use=1",
                "-A -t 599 -u UNSET -s 10.0.0.2 -d 10.0.1.2 -r 10.0.1.2 -q 10.0.0.2 -p 41"
            ),
            (
                "dccp     33 599 src=10.0.0.2 dst=10.0.1.2 sport=0 dport=0 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=0 dport=0 mark=0 use=1",
                "-A -t 599 -u UNSET -s 10.0.0.2 -d 10.0.1.2 -r 10.0.1.2 -q 10.0.0.2 -p dccp"
            ),
            (
                "gre      47 29 src=10.0.0.2 dst=10.0.1.2 srckey=0x0 dstkey=0x1234 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 srckey=0x1234 dstkey=0x0 mark=0 use=1",
                "-A -t 29 -u UNSET -s 10.0.0.2 -d 10.0.1.2 -r 10.0.1.2 -q 10.0.0.2 -p gre --srckey 0 --dstkey 4660 --reply-key-src 4660 --reply-key-dst 0"
            ),
            (
                "icmpv6   58 29 src=fd00::2 dst=fd01::2 type=128 code=0 id=9 [UNREPLIED] src=fd01::2 dst=fd00::2 type=129 code=0 id=9 mark=0 use=1",
                "-A -t 29 -u UNSET -s fd00::2 -d fd01::2 -r fd01::2 -q fd00::2 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9"
            ),
        ])
    func savesOtherProtocols(_ line: String, _ saved: String) {
        let listed = ListedEntry(line)
        #expect(listed.listing.saveLine(listed.entry) == saved)
    }

    @Test("conntrack -o save has the tags of SCTP, but not in a DESTROY (observed on 1.4.7)")
    func savesTags() {
        var listed = ListedEntry(
            "sctp     132 99 CLOSED src=10.0.0.2 dst=10.0.1.2 sport=11 dport=20 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=20 dport=11 mark=0 use=1"
        )
        listed.entry.tagReply = 70000
        let saved =
            "-A -t 99 -u UNSET -s 10.0.0.2 -d 10.0.1.2 -r 10.0.1.2 -q 10.0.0.2 -p sctp --sport 11 --dport 20 --reply-port-src 20 --reply-port-dst 11 --state CLOSED"
        let tags = " --orig-vtag 0 --reply-vtag 70000"
        #expect(listed.listing.saveLine(listed.entry) == saved + tags)
        for (kind, end) in [(EventKind.new, tags), (.update, tags), (.destroy, "")] {
            let event = ConntrackEvent(kind, listed.entry, hasProtocolPart: true, at: .start)
            #expect(listed.listing.eventSaveLine(event) == saved + end)
        }
    }

    @Test("conntrack -L -o xml, byte for byte")
    func printsXML() {
        let listed = Fixture.output(of: "conntrack -L -o id", in: "conntrack_L_ext_id_ts.txt")
            .dropLast().map { ListedEntry($0) }
        for command in ["conntrack -L -o xml -p tcp", "conntrack -L -o xml -p udp"] {
            let output = Fixture.output(of: command, in: "conntrack_L_xml.txt").dropLast()
            #expect(Array(output.prefix(2)).joined(separator: "\n") == Listing.xmlHead)
            #expect(output.last == Listing.xmlTail)
            for line in output.dropFirst(2).dropLast() {
                let flow = listed.first { line.contains("<id>\($0.entry.identifier)</id>") }
                var entry = flow?.entry ?? ListedEntry.tcp.entry
                entry.remainingTicks = (Int32(Self.text(of: "timeout", in: line)) ?? -1) * 250
                let age = Int64(Self.text(of: "deltatime", in: line)) ?? -1
                #expect(
                    ListedEntry.tcp.listing.xmlLine(entry, at: .start + .seconds(age)) == line)
            }
        }
    }

    @Test("XML quirks observed on 6.18: SCTP's state under a TCP name, nothing inside ICMP")
    func keepsXMLQuirks() {
        let sctp = ListedEntry(
            "sctp     132 9 CLOSED src=10.0.0.2 dst=10.0.1.2 sport=10 dport=20 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=20 dport=10 mark=0 use=1"
        )
        #expect(sctp.listing.xmlLine(sctp.entry, at: .start).contains("<state>SYN_SENT</state>"))
        let icmp = ListedEntry(
            "icmpv6   58 29 src=fd00::2 dst=fd01::2 type=128 code=0 id=9 [UNREPLIED] src=fd01::2 dst=fd00::2 type=129 code=0 id=9 mark=0 use=1"
        )
        #expect(
            icmp.listing.xmlLine(icmp.entry, at: .start).contains(
                "<layer4 protonum=\"58\" protoname=\"icmpv6\"></layer4>"))
        var listing = icmp.listing
        listing.options.insert(.kernelTimestamp)
        var entry = icmp.entry
        entry.hasTimestamp = true
        entry.start = Instant(nanoseconds: 1_795_224_409_014_265_929)
        #expect(
            listing.xmlLine(entry, at: entry.start).contains(
                "<timestamp><start>1795224409014265929</start></timestamp><deltatime>0</deltatime>")
        )
    }

    private static func text(of element: String, in line: String) -> Substring {
        let parts = line.split(separator: "<\(element)>")
        return parts.count == 2 ? parts[1].prefix { $0 != "<" } : ""
    }
}

extension ListedEntry {
    /// An established TCP connection without accounting.
    static let tcp = ListedEntry(
        "tcp      6 431999 ESTABLISHED src=10.0.0.2 dst=10.0.1.2 sport=40000 dport=80 src=10.0.1.2 dst=10.0.0.2 sport=80 dport=40000 [ASSURED] mark=0 use=1"
    )
}
