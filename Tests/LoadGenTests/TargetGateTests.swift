import Testing
import Wire

@testable import LoadGen

/// Which hosts may be loaded.
@Suite struct TargetGateTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var name: String
        var host: String
        var addresses: [String] = []
        var listed: String = ""
        var named: [String] = []
        var isInLab = false
        /// What the refusal must say; `nil` where the target may be loaded.
        var refusal: String?

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(name: "loopback may be loaded", host: "127.0.0.1"),
        Row(name: "all of 127/8 is loopback", host: "127.44.1.9"),
        Row(name: "::1 is loopback", host: "::1"),
        Row(name: "mapped loopback is loopback", host: "::ffff:127.0.0.1"),
        Row(
            name: "a private address is not loaded unasked", host: "10.1.2.3",
            refusal: "--i-may-load 10.1.2.3"),
        Row(name: "a private address may be named", host: "10.1.2.3", named: ["10.1.2.3"]),
        Row(name: "a private address may be listed", host: "10.1.2.3", listed: "10.1.0.0/16"),
        Row(
            name: "a prefix that does not hold it lists nothing", host: "10.2.0.1",
            listed: "10.1.0.0/16", refusal: "is not this machine itself"),
        Row(name: "a lab's addresses may be loaded in it", host: "198.18.128.1", isInLab: true),
        Row(
            name: "a lab's addresses are private outside it", host: "198.18.128.1",
            refusal: "ctlab lab up"),
        Row(
            name: "a public address needs both", host: "203.0.113.1",
            refusal: "list it in /etc/ctlab/may-load (or --allow-file), and name it with "
                + "--i-may-load 203.0.113.1"),
        Row(
            name: "a public address that is named is not listed", host: "203.0.113.1",
            named: ["203.0.113.1"], refusal: "list it in /etc/ctlab/may-load"),
        Row(
            name: "a public address that is listed is not named", host: "203.0.113.1",
            listed: "203.0.113.0/24", refusal: "name it with --i-may-load 203.0.113.1 as well"),
        Row(
            name: "a public address that is listed and named may be loaded", host: "203.0.113.1",
            listed: "203.0.113.1  # mine", named: ["203.0.113.1"]),
        Row(
            name: "a lab makes no public address private", host: "8.8.8.8", isInLab: true,
            refusal: "is a public address"),
        Row(
            name: "a mapped public address is public", host: "::ffff:8.8.8.8",
            refusal: "is a public address"),
        Row(
            name: "a mapped private address is private", host: "::ffff:192.168.1.1",
            refusal: "192.168.1.1"),
        Row(
            name: "naming the plain address names the mapped one", host: "::ffff:192.168.1.1",
            named: ["192.168.1.1"]),
        Row(
            name: "a translator's prefix is public, whatever is inside", host: "64:ff9b::7f00:1",
            refusal: "is a public address"),
        Row(
            name: "6to4 is public, whatever is inside", host: "2002:7f00:1::",
            refusal: "is a public address"),
        Row(name: "unique local IPv6 is private", host: "fd00::1", named: ["fd00::1"]),
        Row(name: "link-local IPv6 is private", host: "fe80::1", listed: "fe80::/10"),
        Row(
            name: "documentation addresses are public", host: "2001:db8::1",
            refusal: "is a public address"),
        Row(
            name: "the unspecified address is no host", host: "0.0.0.0", named: ["0.0.0.0"],
            refusal: "stands for no single host"),
        Row(
            name: ":: is no host", host: "::", listed: "::/0", named: ["::"],
            refusal: "stands for no single host"),
        Row(
            name: "IPv4-compatible addresses are no hosts", host: "::7f00:1",
            refusal: "stands for no single host"),
        Row(
            name: "multicast is no host", host: "224.0.0.1", refusal: "stands for no single host"),
        Row(name: "ff02::1 is no host", host: "ff02::1", refusal: "stands for no single host"),
        Row(
            name: "broadcast is no host", host: "255.255.255.255", named: ["255.255.255.255"],
            refusal: "stands for no single host"),
        Row(name: "a name that is loopback", host: "localhost", addresses: ["127.0.0.1", "::1"]),
        Row(
            name: "all addresses of a name have to pass", host: "both.example",
            addresses: ["127.0.0.1", "198.51.100.9"],
            refusal: "has several addresses, and one of them, 198.51.100.9,"),
        Row(
            name: "a name with a public address needs both", host: "web.example",
            addresses: ["198.51.100.9"], listed: "web.example", refusal: "as well"),
        Row(
            name: "a name may be listed and named", host: "web.example",
            addresses: ["198.51.100.9", "2001:db8::9"], listed: "WEB.example",
            named: ["web.example"]),
        Row(
            name: "a name without addresses is refused", host: "nowhere.example",
            refusal: "has no address"),
    ]

    @Test("the gate", arguments: rows)
    func decides(_ row: Row) throws {
        let texts =
            row.addresses.isEmpty && row.host.contains(where: ".:".contains)
                && Address.parse(row.host) != nil ? [row.host] : row.addresses
        let addresses = texts.compactMap { Address.parse($0) }
        #expect(addresses.count == texts.count)
        let gate = TargetGate(
            allowed: try AllowList(text: row.listed, path: "test"), named: row.named,
            isInLab: row.isInLab)
        do throws(TargetRefusal) {
            _ = try gate.permit(host: row.host, addresses: addresses)
            #expect(row.refusal == nil, "it was let through")
        } catch {
            let expected = try #require(row.refusal, "refused: \(error)")
            #expect(error.description.contains(expected), "\(error)")
        }
    }

    @Test("every refusal is one sentence that names the target")
    func namesTheTarget() throws {
        for row in Self.rows where row.refusal != nil && row.addresses.isEmpty {
            guard let address = Address.parse(row.host) else { continue }
            let gate = TargetGate(named: [], isInLab: row.isInLab)
            #expect(throws: TargetRefusal.self) {
                try gate.permit(host: row.host, addresses: [address])
            }
        }
    }

    @Test("a range is checked address by address")
    func checksRanges() throws {
        let half = try #require(AddressPool.prefix("127.0.0.0/24"))
        let gate = TargetGate()
        #expect(try gate.permit(half).covers(TargetPool(addresses: half, firstPort: 1)))
        let beyond = AddressPool(.ipv4, first: Address(ipv4: 0x7FFF_FFFE), count: 4)
        #expect(throws: TargetRefusal.self) { try gate.permit(beyond) }
        let large = AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0000), count: 70_000)
        #expect(throws: TargetRefusal.self) { try gate.permit(large) }
    }

    @Test("a prefix may be named, and what of a range it leaves out is said")
    func saysWhatIsNotCovered() throws {
        let range = AddressPool(.ipv4, first: Address(ipv4: 0x0A01_0000), count: 512)
        let half = TargetGate(named: ["10.1.0.0/24"])
        #expect {
            try half.permit(range)
        } throws: {
            "\($0)".hasPrefix(
                "256 of the target's 512 addresses are not covered, 10.1.1.0 to 10.1.1.255: target "
                    + "10.1.1.0 is not this machine itself")
        }
        let gaps = TargetGate(named: ["10.1.0.0/24", "10.1.1.7"])
        #expect {
            try gaps.permit(range)
        } throws: {
            "\($0)".hasPrefix(
                "255 of the target's 512 addresses are not covered, among them 10.1.1.0 to 10.1.1.255"
            )
        }
        #expect(
            try TargetGate(named: ["10.1.0.0/23"]).permit(range)
                .covers(TargetPool(addresses: range, firstPort: 1)))
        // A prefix larger than any target names everybody, and so nobody.
        #expect(throws: TargetRefusal.self) { try TargetGate(named: ["10.0.0.0/8"]).permit(range) }
        // Of a public one it is half of the right, as a single address is.
        #expect(throws: TargetRefusal.self) {
            try TargetGate(named: ["203.0.113.0/24"]).permit(
                host: "203.0.113.1", addresses: [(.ipv4, Address(ipv4: 0xCB00_7101))])
        }
    }

    @Test("an allow file bears blank lines, remarks and line ends of any kind")
    func readsAllowFiles() throws {
        let list = try AllowList(
            text: "  # remark\r\n   \r\n\t10.0.0.1  # mine\r\n \n#\n  web.example\n", path: "list")
        #expect(list.lists("x", .ipv4, Address(ipv4: 0x0A00_0001)))
        #expect(list.lists("web.example", .ipv4, Address(ipv4: 1)))
    }

    @Test(
        "a line with a blank inside is refused, and makes no third host of two words",
        arguments: [
            ("10.0.0.1 5 # x", "10.0.0.1 5"), ("alpha beta", "alpha beta"),
            ("10.0.0.0 /8", "10.0.0.0 /8"), ("10.0.0.1\t10.0.0.2", "10.0.0.1\t10.0.0.2"),
        ])
    func refusesBlanksInside(_ line: String, _ found: String) {
        #expect {
            try AllowList(text: "# mine\n \(line)\n", path: "list")
        } throws: {
            "\($0)" == "list:2: found '\(found)', expected an address, a prefix or a host name"
        }
    }

    @Test(
        "a mapped address, or a prefix of such, lists the IPv4 ones inside",
        arguments: [
            ("::ffff:10.0.0.1", 0x0A00_0001, true), ("::ffff:10.0.0.1", 0x0A00_0002, false),
            ("::ffff:10.0.0.0/120", 0x0A00_00FF, true), ("::ffff:10.0.0.0/120", 0x0A00_0100, false),
        ] as [(String, UInt32, Bool)])
    func listsMappedAddresses(_ line: String, _ address: UInt32, _ isListed: Bool) throws {
        let list = try AllowList(text: line, path: "list")
        #expect(list.lists("x", .ipv4, Address(ipv4: address)) == isListed)
    }

    @Test(
        "what cannot be named is told from what can",
        arguments: [
            ("web_1.example", true), ("10.0.0.1", true), ("10.1.0.0/16", true), ("fd00::1", true),
            ("fd00::/112", true), ("::ffff:10.1.0.0/112", true), ("0.0.0.0/0", false),
            ("10.0.0.0/15", false), ("fd00::/64", false), ("::ffff:0.0.0.0/96", false),
            ("garbage/99", false), ("10.0.0.0/99", false), ("10.0.0.1 5", false), ("", false),
        ])
    func tellsNames(_ name: String, _ mayBeNamed: Bool) {
        #expect(TargetGate.mayName(name) == mayBeNamed)
    }

    @Test("a permit covers what was checked and nothing beside it")
    func coversOnlyItsTarget() throws {
        let permit = try TargetGate().permit(
            host: "127.0.0.1", addresses: [(.ipv4, Address(ipv4: 0x7F00_0001))])
        func target(_ value: UInt32, _ count: Int = 1) -> TargetPool {
            TargetPool(
                addresses: AddressPool(.ipv4, first: Address(ipv4: value), count: count),
                firstPort: 80)
        }
        #expect(permit.covers(target(0x7F00_0001)))
        #expect(!permit.covers(target(0x7F00_0002)))
        #expect(!permit.covers(target(0x7F00_0001, 2)))
        let other = TargetPool(
            addresses: AddressPool(.ipv6, first: Address(high: 0, low: 0x7F00_0001)), firstPort: 80)
        #expect(!permit.covers(other))
    }

    @Test("a claim is decided anew wherever it is brought, and takes nothing on trust")
    func decidesClaimsAnew() throws {
        let own = try TargetGate().permit(
            host: "localhost", addresses: [(.ipv4, Address(ipv4: 0x7F00_0001))])
        let line = WorkerLine.text(own.claim)
        let claim = try #require(WorkerLine.value(LoadClaim.self, line))
        #expect(claim == own.claim)
        #expect(try claim.decide() == own)

        // In a lab, or with a list that is gone: what let it through there is not here.
        let address = try #require(Address.parse("198.51.100.9"))
        let lab = try TargetGate(named: [], isInLab: true).permit(
            host: "198.18.0.1", addresses: [(.ipv4, Address(ipv4: 0xC612_0001))])
        #expect(throws: TargetRefusal.self) { try lab.claim.decide() }
        let listed = try TargetGate(
            allowed: AllowList(text: "198.51.100.9", path: "/no/such/list"),
            named: ["198.51.100.9"]
        ).permit(host: "198.51.100.9", addresses: [address])
        #expect {
            try listed.claim.decide()
        } throws: {
            "\($0)".contains("/no/such/list")
        }
    }

    @Test("a plan beyond its permit is refused by name")
    func checksPlans() throws {
        let permit = try TargetGate().permit(
            host: "127.0.0.1", addresses: [(.ipv4, Address(ipv4: 0x7F00_0001))])
        let pool = AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001), count: 2)
        let target = TargetPool(addresses: pool, firstPort: 80)
        let plan = Plan(workloads: [QuickProfile.churn.workload(target)], duration: 1)
        #expect {
            try permit.check(plan)
        } throws: {
            "\($0)".contains("'churn' goes beyond the target")
        }
    }

    @Test("all mistakes of an allow file are shown, with their lines")
    func showsMistakes() {
        let text = "10.0.0.0/8\n10.0.0.0/99\n# remark\n\nbad host\nweb_1.example # fine\n!!\n"
        #expect {
            try AllowList(text: text, path: "may-load")
        } throws: { error in
            let lines = (error as? AllowListError)?.lines ?? []
            return lines.map { $0.prefix { $0 != " " } }
                == ["may-load:2:", "may-load:5:", "may-load:7:"]
        }
    }

    struct LimitRow: CustomTestStringConvertible, Sendable {
        var name: String
        var seconds = 10.0
        var rate = 100.0
        var flows = 0
        var request = 0
        var expected: String?

        var testDescription: String { name }
    }

    @Test(
        "every run is bounded",
        arguments: [
            LimitRow(name: "an ordinary run"),
            LimitRow(name: "no time at all", seconds: 0, expected: "duration"),
            LimitRow(name: "more than a day", seconds: 90_000, expected: "duration"),
            LimitRow(name: "no rate", rate: 0, expected: "rate"),
            LimitRow(name: "too high a rate", rate: 2e6, expected: "rate"),
            LimitRow(name: "too many flows", flows: 2_000_000, expected: "flows"),
            LimitRow(name: "a request below zero", request: -1, expected: "request"),
            LimitRow(name: "too large a request", request: 1 << 24, expected: "request"),
        ])
    func bounds(_ row: LimitRow) {
        let target = TargetPool(
            addresses: AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001)), firstPort: 80)
        var open = QuickProfile.churn.workload(target)
        open.model = .open(
            Arrivals(
                stages: [Arrivals.Stage(seconds: row.seconds, from: row.rate, to: row.rate)],
                spacing: .uniform))
        open.requestByteCount = row.request
        var held = QuickProfile.hold.workload(target)
        held.model = .held(count: row.flows, startsPerSecond: 1)
        var plan = Plan(workloads: [open], duration: UInt64(row.seconds * 1e9))
        if row.flows > 0 { plan.workloads.append(held) }
        let breaches = LoadLimits().breaches(of: plan)
        if let expected = row.expected {
            #expect(breaches.contains { $0.contains(expected) }, "\(breaches)")
        } else {
            #expect(breaches.isEmpty, "\(breaches)")
        }
    }

    @Test(
        "datagrams count one by one, however rare their flows are",
        arguments: [(1000.0, 1000, true), (1000, 1001, false), (0.001, 1_000_001, false)])
    func countsDatagrams(_ rate: Double, _ datagrams: Int, _ isWithin: Bool) {
        let target = TargetPool(
            addresses: AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001)), firstPort: 80)
        var fanout = QuickProfile.fanout.workload(target)
        fanout.datagramsPerFlow = datagrams
        fanout.model = .open(
            Arrivals(
                stages: [Arrivals.Stage(seconds: 1, from: rate, to: rate)], spacing: .uniform))
        let plan = Plan(workloads: [fanout], duration: 1_000_000_000)
        #expect(LoadLimits().breaches(of: plan).isEmpty == isWithin)
    }

    @Test("a population counts as what it may begin")
    func countsPopulations() {
        let target = TargetPool(
            addresses: AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001)), firstPort: 80)
        var crowd = QuickProfile.churn.workload(target)
        crowd.model = .population(stages: [Arrivals.Stage(seconds: 1, from: 0, to: 10)])
        func isWithin(_ count: Int) -> Bool {
            let plan = Plan(
                workloads: Array(repeating: crowd, count: count), duration: 1_000_000_000)
            return LoadLimits().breaches(of: plan).isEmpty
        }
        #expect(isWithin(20))
        #expect(!isWithin(21))
    }
}
