import Conntrack
import Testing
import Wire

/// The numbered cases of formats.md that can be shown with a single entry or counter.
@Suite struct FormatCaseTests {
    static let udp = ListedEntry(
        "udp      17 30 src=10.0.0.2 dst=10.0.1.2 sport=1000 dport=53 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=53 dport=1000 mark=0 use=1"
    ).entry
    let listing = ListedEntry.tcp.listing

    @Test("formats.md case 1: a first UDP packet shows 29 within its first second")
    func unrepliedUDP() {
        var entry = Self.udp
        entry.remainingTicks = 30 * 250 - 1
        #expect(
            listing.line(entry, at: .start)
                == "udp      17 29 src=10.0.0.2 dst=10.0.1.2 sport=1000 dport=53 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 sport=53 dport=1000 mark=0 use=1"
        )
    }

    @Test("formats.md case 2: after the reply the same line without [UNREPLIED]")
    func repliedUDP() {
        var entry = Self.udp
        entry.status = [.confirmed, .seenReply]
        #expect(
            listing.line(entry, at: .start)
                == "udp      17 30 src=10.0.0.2 dst=10.0.1.2 sport=1000 dport=53 src=10.0.1.2 dst=10.0.0.2 sport=53 dport=1000 mark=0 use=1"
        )
    }

    @Test("formats.md case 3: after promotion [ASSURED] stands before the mark")
    func assuredUDP() {
        var entry = Self.udp
        entry.status = [.confirmed, .seenReply, .assured]
        #expect(listing.line(entry, at: .start).hasSuffix(" dport=1000 [ASSURED] mark=0 use=1"))
    }

    @Test("formats.md case 4: a SYN shows 'tcp      6 119 SYN_SENT '")
    func synSent() {
        var entry = ListedEntry.tcp.entry
        entry.protocolState = 1
        entry.remainingTicks = 120 * 250 - 1
        #expect(listing.line(entry, at: .start).hasPrefix("tcp      6 119 SYN_SENT "))
    }

    @Test("formats.md case 5: the reply tuple of an ICMP echo prints type 0")
    func icmpReply() throws {
        let original = Tuple(
            .ipv4, IPProtocol.icmp, source: Address(ipv4: 0x0a00_0002), 77,
            destination: Address(ipv4: 0x0a00_0102), 8 << 8)
        var entry = Entry(original: original, reply: try #require(original.inverted))
        entry.status = .seenReply
        entry.remainingTicks = 29 * 250
        #expect(
            listing.line(entry, at: .start)
                == "icmp     1 29 src=10.0.0.2 dst=10.0.1.2 type=8 code=0 id=77 src=10.0.1.2 dst=10.0.0.2 type=0 code=0 id=77 mark=0 use=1"
        )
    }

    @Test("formats.md case 6: an unknown protocol has no ports")
    func unknownProtocol() {
        var entry = Entry(
            original: Tuple(
                .ipv4, 200, source: Address(ipv4: 0x0a00_0002), 0,
                destination: Address(ipv4: 0x0a00_0102), 0),
            reply: Tuple(
                .ipv4, 200, source: Address(ipv4: 0x0a00_0102), 0,
                destination: Address(ipv4: 0x0a00_0002), 0))
        entry.remainingTicks = 600 * 250 - 1
        #expect(
            listing.line(entry, at: .start)
                == "unknown  200 599 src=10.0.0.2 dst=10.0.1.2 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 mark=0 use=1"
        )
    }

    @Test("formats.md case 7: -o extended adds exactly 'ipv4     2 '")
    func extended() {
        var extended = listing
        extended.options = .extended
        let line = listing.line(Self.udp, at: .start)
        #expect(extended.line(Self.udp, at: .start) == "ipv4     2 " + line)
    }

    @Test("formats.md case 8: -o id appends ' id=' at the end")
    func identifier() {
        var identified = listing
        identified.options = .id
        var entry = Self.udp
        entry.identifier = 3_520_498_520
        let line = listing.line(entry, at: .start)
        #expect(identified.line(entry, at: .start) == line + " id=3520498520")
    }

    @Test("formats.md case 9: the counters stand behind their tuples")
    func accounting() {
        var entry = Self.udp
        entry.hasAccounting = true
        entry.packetsOriginal = 1
        entry.bytesOriginal = 29
        let line = listing.line(entry, at: .start)
        #expect(line.contains(" dport=53 packets=1 bytes=29 [UNREPLIED] src="))
        #expect(line.contains(" dport=1000 packets=0 bytes=0 mark=0 "))
    }

    @Test("formats.md case 10: /proc always shows the zone, and a use of 2")
    func procZone() {
        #expect(listing.procLine(Self.udp, at: .start, Sysctl()).hasSuffix(" mark=0 zone=0 use=2"))
    }

    @Test("formats.md case 11: IPv6 in full in /proc, compressed in the tool")
    func ipv6() {
        let listed = ListedEntry(
            "udp      17 29 src=fd00::2 dst=fd01::2 sport=1000 dport=53 [UNREPLIED] src=fd01::2 dst=fd00::2 sport=53 dport=1000 mark=0 use=1"
        )
        #expect(listing.line(listed.entry, at: .start).contains(" src=fd00::2 dst=fd01::2 "))
        #expect(
            listing.procLine(listed.entry, at: .start, Sysctl()).hasPrefix(
                "ipv6     10 udp      17 29 src=fd00:0000:0000:0000:0000:0000:0000:0002 dst=fd01:0000:0000:0000:0000:0000:0000:0002 sport=1000"
            ))
    }

    @Test("formats.md case 12: GRE shows its two timeouts in /proc and not in the tool")
    func greTimeouts() {
        let line =
            "gre      47 29 src=10.0.0.2 dst=10.0.1.2 srckey=0x0 dstkey=0x1234 [UNREPLIED] src=10.0.1.2 dst=10.0.0.2 srckey=0x1234 dstkey=0x0 mark=0 use=1"
        let listed = ListedEntry(line)
        #expect(listing.line(listed.entry, at: .start) == line)
        #expect(
            listing.procLine(listed.entry, at: .start, Sysctl()).hasPrefix(
                "ipv4     2 gre      47 29 timeout=30, stream_timeout=180 src="))
    }

    @Test("formats.md case 17: conntrack -S, key by key")
    func toolCounters() {
        #expect(
            Fixture.output(of: "conntrack -S", in: "conntrack_C_S.txt")[0] == Counters().toolLine())
        var counters = Counters()
        counters.drop = 1685
        counters.earlyDrop = 6316
        #expect(
            counters.toolLine()
                == "cpu=0   \tfound=0 invalid=0 insert=0 insert_failed=0 drop=1685 early_drop=6316 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 "
        )
        #expect(counters.toolLine(cpu: 12).hasPrefix("cpu=12  \tfound=0 "))
    }

    @Test("formats.md case 18: /proc/net/stat/nf_conntrack, header and columns")
    func procCounters() {
        let sample = Fixture.output(
            of: "cat /proc/net/stat/nf_conntrack", in: "proc_net_stat_nf_conntrack.txt")
        #expect(sample[0] == Counters.procHeader)
        #expect(sample[1] == Counters().procLine(entries: 9))
        var counters = Counters()
        counters.clashResolve = 1
        counters.found = 2
        counters.invalid = 4
        counters.chainTooLong = 7
        counters.insert = 8
        counters.insertFailed = 9
        counters.drop = 10
        counters.earlyDrop = 11
        counters.error = 12
        counters.expectNew = 13
        counters.expectCreate = 14
        counters.expectDelete = 15
        counters.searchRestart = 16
        #expect(
            counters.procLine(entries: 255)
                == "000000ff  00000001 00000002 00000000 00000004 00000000 00000000 00000007 00000008 00000009 0000000a 0000000b 0000000c  0000000d 0000000e 0000000f 00000010"
        )
    }

    @Test("formats.md case 20: a zone stands behind the mark, a one-way zone behind its tuple")
    func zones() {
        var entry = Self.udp
        entry.zoneOriginal = 7
        entry.zoneReply = 7
        #expect(listing.line(entry, at: .start).hasSuffix(" mark=0 zone=7 use=1"))
        entry.zoneReply = 0
        entry.zoneOriginal = 8
        let line = listing.line(entry, at: .start)
        #expect(line.contains(" dport=53 zone-orig=8 [UNREPLIED] "))
        #expect(!line.contains("zone=8"))
        #expect(!listing.procLine(entry, at: .start, Sysctl()).contains(" zone="))
    }

    @Test("formats.md case 21: -o save of an unreplied flow says -u UNSET")
    func savesUnset() {
        #expect(listing.saveLine(Self.udp).contains(" -u UNSET "))
    }
}
