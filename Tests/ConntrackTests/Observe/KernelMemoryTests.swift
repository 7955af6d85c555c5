import Conntrack
import Testing
import Wire

/// memory.md: what a table costs on the real machine.
@Suite struct KernelMemoryTests {
    static let mebibyte = 1 << 20

    @Test("memory.md case 1: an empty table of 262144 buckets takes 2097152 bytes")
    func empty() {
        #expect(KernelMemory(buckets: 262_144, entries: 0).totalByteCount == 2_097_152)
    }

    @Test("memory.md case 2: the first entry takes a page, and 256 bytes by itself")
    func first() {
        #expect(KernelMemory(buckets: 262_144, entries: 1).entriesByteCount == 4096)
        #expect(KernelMemory.byteCountPerEntry() == 256)
    }

    @Test("memory.md case 3: sixteen entries share one page")
    func sixteen() {
        #expect(KernelMemory(buckets: 262_144, entries: 16).entriesByteCount == 4096)
    }

    @Test("memory.md case 4: the seventeenth takes a second page")
    func seventeen() {
        #expect(KernelMemory(buckets: 262_144, entries: 17).entriesByteCount == 8192)
    }

    @Test("memory.md case 5: 262144 plain entries take 64 + 2 MiB")
    func plain() {
        let memory = KernelMemory(buckets: 262_144, entries: 262_144)
        #expect(memory.totalByteCount == 66 * Self.mebibyte)
    }

    @Test("memory.md case 6: with accounting 96 + 2 MiB")
    func accounting() {
        let memory = KernelMemory(
            buckets: 262_144, entries: 262_144, extensions: .accounting)
        #expect(memory.totalByteCount == 98 * Self.mebibyte)
    }

    @Test("memory.md case 7: accounting, timestamp and events together cost as much as one")
    func together() {
        let all: KernelMemory.Extensions = [.accounting, .timestamp, .events]
        #expect(all.neededByteCount == 96)
        #expect(all.blockByteCount == 128)
        #expect(KernelMemory.byteCountPerEntry(all) == 384)
    }

    @Test("memory.md case 8: helper, accounting and events need 136 bytes: a block of 192")
    func helper() {
        let parts: KernelMemory.Extensions = [.helper, .accounting, .events]
        #expect(parts.neededByteCount == 136)
        #expect(parts.blockByteCount == 192)
    }

    /// A node that tracks everything between two networks.
    private static func node(_ sysctl: Sysctl) -> Node {
        var configuration = NodeConfiguration()
        configuration.tracking = .always
        configuration.sysctl = sysctl
        return Node(configuration)
    }

    /// Opens a UDP flow of its own.
    private static func open(_ port: UInt16, in node: inout Node, at now: Instant) {
        let packet = PacketBuilder(
            .ipv4, from: Address(ipv4: 0x0a00_0002), to: Address(ipv4: 0x0a00_0102)
        ).udp(from: port, to: 53, payload: [1])
        _ = node.receive(packet.span, on: nil, at: now)
    }

    @Test("memory.md case 9: accounting switched on later leaves existing entries without")
    func switchedOnLater() {
        var node = Self.node(Sysctl())
        Self.open(1, in: &node, at: .start)
        var sysctl = Sysctl()
        sysctl.accounting = true
        node.apply(sysctl, at: .start)
        Self.open(2, in: &node, at: .start)
        let entries = node.list(at: .start)
        #expect(entries.count == 2)
        for entry in entries {
            #expect(entry.hasAccounting == (entry.original.sourcePart == 2))
        }
    }

    @Test("memory.md case 17: an expired entry costs the same until it is collected")
    func expired() {
        var node = Self.node(Sysctl())
        Self.open(1, in: &node, at: .start)
        // Half a minute and a bit later it has expired, and nobody has looked.
        let later = Instant.start + .seconds(31)
        Self.open(2, in: &node, at: later)
        #expect(node.count == 2)
        let memory = KernelMemory(
            buckets: Int(node.configuration.sysctl.roundedBuckets), entries: Int(node.count))
        #expect(memory.entriesByteCount == 4096)
        #expect(node.list(at: later).count == 1)
        #expect(node.count == 1)
    }

    @Test("memory.md case 10: events = 2 costs nothing until somebody listens")
    func listening() {
        let sysctl = Sysctl()
        #expect(KernelMemory.Extensions(sysctl, isListening: false).isEmpty)
        #expect(KernelMemory.Extensions(sysctl, isListening: true) == .events)
        // Entries made before report nothing when somebody listens later.
        var node = Self.node(sysctl)
        Self.open(1, in: &node, at: .start)
        node.isListening = true
        Self.open(2, in: &node, at: .start)
        #expect(node.journal.events.map(\.entry.original.sourcePart) == [2])
    }

    @Test(
        "memory.md cases 11 and 12: bucket counts round up to a multiple of 512",
        arguments: [(100_001, 802_816), (1_048_577, 10_485_760), (262_144, 2_097_152)])
    func rounds(_ buckets: Int, _ byteCount: Int) {
        #expect(KernelMemory.tableByteCount(buckets: buckets) == byteCount)
        var sysctl = Sysctl()
        sysctl.buckets = UInt32(buckets)
        #expect(sysctl.roundedBuckets % 512 == 0)
    }

    @Test("memory.md case 13: zero buckets are refused")
    func refusesZero() {
        var sysctl = Sysctl()
        #expect(throws: SysctlError.self) { try sysctl.set("nf_conntrack_buckets", to: "0") }
    }

    @Test("memory.md case 14: resizing the table leaves the limit alone")
    func resizing() throws {
        var sysctl = Sysctl()
        try sysctl.set("net.netfilter.nf_conntrack_buckets", to: "1024")
        #expect(sysctl.max == 262_144)
    }

    @Test("memory.md case 15: 200000 entries with accounting have 200000 blocks of 128 bytes")
    func blocks() {
        let memory = KernelMemory(buckets: 262_144, entries: 200_000, extensions: .accounting)
        #expect(memory.extensionsByteCount == 200_000 * 128)
    }

    @Test(
        "the table of memory.md §4, in MiB",
        arguments: [(10_000, 2.4, 3.7), (100_000, 24.4, 36.6), (1_000_000, 244.1, 366.2)])
    func table(_ entries: Int, _ plain: Double, _ extended: Double) {
        for (extensions, expected) in [
            (KernelMemory.Extensions(), plain), (KernelMemory.Extensions.accounting, extended),
        ] {
            let memory = KernelMemory(
                buckets: 262_144, entries: entries, extensions: extensions)
            let mebibytes = Double(memory.totalByteCount - 2 * Self.mebibyte) / 1_048_576
            #expect((mebibytes * 10).rounded() / 10 == expected)
        }
    }
}
