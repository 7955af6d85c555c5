internal import LinuxCalls
public import Report

// The live kernel as the second arm: a throw-away network namespace plays the node's machine. One
// packet is written at a time; the kernel takes it all the way before the write returns, and then
// everything it did is read back: what came out, what the watch rules saw, the tracker's remarks,
// the events, the counters, and the entry of the packet's tuple.
//
// The namespace, its devices and its rules go with the value, or with the process however it ends.

/// What the live kernel did with one packet, and when.
public struct LiveStep: Sendable {
    public var outcome: PacketOutcome
    /// Nanoseconds from the first packet to this one, as it really was: no later than the kernel
    /// took it.
    public var nanoseconds: UInt64
    /// By how many nanoseconds later than that the entry may have been looked up.
    ///
    /// On a busy machine another program may have run in between.
    public var uncertainty: UInt64
}

/// What is there when no more packets come.
public struct LiveRemainder: Sendable {
    /// In the order of `conntrack -L`.
    public var entries: [EntryRecord]
    /// The statistics since the beginning, under the names of `conntrack -S`.
    public var counters: CounterChanges
    public var count: Int
}

/// A machine made of the live kernel.
public struct LiveRouter: ~Copyable {
    /// Settings of the node that were not made: this kernel does not have them, or they are the
    /// whole machine's and have no effect on what is compared.
    public let settingsLeftOut: [String]
    /// `nf_conntrack_buckets`, one for the whole machine.
    public let bucketCount: UInt32
    /// `nf_conntrack_max`, one for the whole machine.
    public let connectionLimit: UInt32

    private var node: LiveNode
    private let lease: MachineLease
    private let namespace: NetworkNamespace
    private var organs: Organs
    private var pacing = Pacing()
    private var expiry = ExpiryBook()
    private var fragments = FragmentMemory()
    private var reading: KernelCounters.Reading
    private let initialReading: KernelCounters.Reading
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    /// Makes the machine `node` describes.
    ///
    /// - Throws: `.unavailable` without root, without tun or without the system's tools.
    public init(_ node: LiveNode) throws(LiveKernelError) {
        precondition(!node.interfaces.isEmpty, "a node has at least one interface")
        try Self.checkRequirements()
        let plan = SettingPlan(node.sysctls)
        let lease = try Self.lease(plan.global)
        let namespace = try building { () throws(SystemCallError) in try NetworkNamespace() }
        var organs = try namespace.enter { () throws(LiveKernelError) in
            try Organs(node, plan)
        }
        let reading = try live { () throws(SystemCallError) in try organs.settle() }
        let bucketCount = try Self.number("net.netfilter.nf_conntrack_buckets")
        let connectionLimit = try Self.number("net.netfilter.nf_conntrack_max")
        settingsLeftOut = plan.leftOut + organs.settingsMissing
        self.bucketCount = bucketCount
        self.connectionLimit = connectionLimit
        self.node = node
        self.lease = lease
        self.namespace = namespace
        self.organs = organs
        self.reading = reading
        initialReading = reading
    }

    private static func lease(
        _ settings: [LiveNode.Setting]
    ) throws(LiveKernelError) -> MachineLease {
        do throws(MachineLeaseError) {
            return try MachineLease(changing: settings.map { ($0.name, $0.value) })
        } catch {
            switch error {
            case .taken(let lock):
                throw .unavailable(
                    "another run has this machine's kernel, and settings of the whole machine "
                        + "are at stake",
                    remedy: "wait for it to end (it holds the lock on \(lock))")
            case .setting(let name, let value, let reason):
                throw .setting(name: name, value: value, reason: reason)
            case .call(let call): throw .call(call)
            }
        }
    }

    /// What has to be there, and how to get it.
    private static func checkRequirements() throws(LiveKernelError) {
        guard ProcessOwner.isRoot else {
            throw .unavailable(
                "network namespaces, tun devices and the table need root", remedy: "run with sudo")
        }
        guard TextFile.exists("/dev/net/tun") else {
            throw .unavailable(
                "there is no /dev/net/tun",
                remedy: "load the module (modprobe tun), or hand the device to the container")
        }
    }

    private static func number(_ name: String) throws(LiveKernelError) -> UInt32 {
        let text = try live { () throws(SystemCallError) in try SysctlFile.read(name) }
        guard let number = UInt32(text) else {
            throw .unexpected("\(name): found '\(text)', expected a number")
        }
        return number
    }

    /// Replaces the node's rules, as one `nft -f` that begins with `flush ruleset` does.
    ///
    /// - Throws: `.refused` with nft's words; the rules are then as they were.
    public mutating func replaceRules(with ruleset: String) throws(LiveKernelError) {
        node.ruleset = ruleset
        let node = node
        try namespace.enter { () throws(LiveKernelError) in
            try RouterSetup.replaceRules(of: node, with: Tools())
        }
    }

    // MARK: One packet

    /// Sends one packet into the machine by interface `interface`, when its time has come, and
    /// tells what became of it.
    ///
    /// - Parameters:
    ///   - number: The packet's index in its trace.
    ///   - traceTime: Nanoseconds since the trace's first packet. Gaps are slept.
    public mutating func send(
        _ packet: [UInt8], number: Int, on interface: Int, traceTime: UInt64
    ) throws(LiveKernelError) -> LiveStep {
        do throws(SystemCallError) {
            return try step(packet, number, interface, traceTime)
        } catch {
            if error.isOverrun {
                throw .unexpected("found more messages than fit the socket, expected none lost")
            }
            throw .call(error)
        }
    }

    private mutating func step(
        _ packet: [UInt8], _ number: Int, _ interface: Int, _ traceTime: UInt64
    ) throws(SystemCallError) -> LiveStep {
        let hasSlept = pacing.wait(until: traceTime)
        let interlude = try interlude(hasSlept)

        let now = pacing.send()
        _ = try organs.devices.write(packet.span, to: interface)
        let output = try collectOutput()
        let sight = WatchedPath(try organs.log.drain())
        let events = try organs.events.drain()
        let after = try organs.counters.read()

        let keys = PacketKeys(packet, &fragments)
        var outcome = PacketOutcome(
            packet: number, time: Self.timeText(traceTime), state: sight.state,
            verdict: output.isEmpty || sight.isAnswered
                ? sight.hasArrived ? "local" : "dropped" : "forwarded")
        outcome.ingress = organs.devices.names[interface]
        outcome.tuple = keys.own.map {
            var record = $0.record
            record.proto = Int($0.protocolNumber)
            return record
        }
        outcome.direction = sight.direction
        outcome.invalidReasons = sight.remarks.isEmpty ? nil : sight.remarks
        if !output.isEmpty {
            // A packet that a rule refuses goes nowhere itself.
            if sight.isAnswered { outcome.answers = output } else { outcome.out = output }
        }
        outcome.events = events.isEmpty ? nil : events
        outcome.counters = KernelCounters.changes(from: reading, to: after)
        let destroyed = events.count { $0.type == "DESTROY" }
        outcome.evicted = destroyed == 0 ? nil : destroyed
        outcome.before = interlude
        reading = after
        if let lookup = keys.lookup {
            outcome.entry = try entry(
                for: lookup, in: sight.zones ?? ZoneNumbers(), wasTracked: sight.wasTracked, at: now
            )
        }
        return LiveStep(
            outcome: outcome, nanoseconds: now, uncertainty: pacing.elapsed() - now)
    }

    /// What has happened since the last packet; `nil` if nothing has.
    private mutating func interlude(_ hasSlept: Bool) throws(SystemCallError) -> Interlude? {
        let events = try organs.events.drain()
        guard hasSlept || !events.isEmpty else { return nil }
        let now = try organs.counters.read()
        let changes = KernelCounters.changes(from: reading, to: now)
        reading = now
        guard !events.isEmpty || changes != nil else { return nil }
        return Interlude(events: events.isEmpty ? nil : events, counters: changes)
    }

    private mutating func collectOutput() throws(SystemCallError) -> [OutputRecord] {
        var output: [OutputRecord] = []
        for (index, name) in organs.devices.names.enumerated() {
            while let byteCount = try organs.devices.read(from: index, into: &buffer) {
                output.append(
                    OutputRecord(interface: name, bytes: Self.hex(buffer[..<byteCount])))
            }
        }
        return output
    }

    private mutating func entry(
        for tuple: FlowTuple, in zones: ZoneNumbers, wasTracked: Bool, at now: UInt64
    ) throws(SystemCallError) -> EntryRecord? {
        if !wasTracked, expiry.isExpired(tuple, at: now) { return nil }
        // As the tracker itself: in the original direction's zone, then in the reply's; and what is
        // found in one direction has to have the packet's zone of that direction (spec table.md
        // §3). ctnetlink takes a number for both directions, so that this is left to us.
        var found = try organs.table.entry(for: tuple, zone: zones.original)
        if found?.isSeen(by: tuple, in: zones) != true, zones.reply != zones.original {
            found = try organs.table.entry(for: tuple, zone: zones.reply) ?? found
        }
        // Then it may hide the one that the tracker finds.
        if let other = found, !other.isSeen(by: tuple, in: zones) {
            found = try organs.table.dump().first { $0.isSeen(by: tuple, in: zones) }
        }
        guard let entry = found else { return nil }
        expiry.note(entry, at: now)
        return entry.record
    }

    // MARK: The end

    /// The table and the statistics as they are now; expired entries go.
    public mutating func remainder() throws(LiveKernelError) -> LiveRemainder {
        do throws(SystemCallError) {
            let entries = try organs.table.dump().map(\.record)
            let last = try organs.counters.read()
            return LiveRemainder(
                entries: entries,
                counters: KernelCounters.all(from: initialReading, to: last),
                count: last.count)
        } catch {
            throw .call(error)
        }
    }

    // MARK: Texts

    /// Seconds with nine decimals.
    private static func timeText(_ nanoseconds: UInt64) -> String {
        let fraction = String(nanoseconds % 1_000_000_000)
        let zeros = String(repeating: "0", count: 9 - fraction.count)
        return "\(nanoseconds / 1_000_000_000).\(zeros)\(fraction)"
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)

    private static func hex(_ bytes: ArraySlice<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(hexDigits[Int(byte >> 4)])
            text.append(hexDigits[Int(byte & 0xF)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// What the log messages say about one packet's way.
struct WatchedPath {
    /// `none` if it never came by the first watch post.
    private(set) var state = "none"
    private(set) var direction: String?
    private(set) var hasArrived = false
    /// Whether a `reject` rule has answered it.
    private(set) var isAnswered = false
    /// The tracker's own texts.
    private(set) var remarks: [String] = []
    /// What the rules before the tracker laid down.
    private(set) var zones: ZoneNumbers?

    /// Whether the tracker looked its tuple up.
    var wasTracked: Bool { state != "none" && state != "untracked" }

    init(_ messages: [String]) {
        for message in messages {
            if let named = ZoneNumbers(message) {
                // The first rule that sets a zone before the tracker is the only one.
                if state == "none", zones == nil { zones = named }
            } else if message == WatchRules.Prefix.arrival {
                hasArrived = true
            } else if message == WatchRules.Prefix.answer {
                isAnswered = true
            } else if message.hasPrefix(WatchRules.Prefix.mark) {
                let words = message.dropFirst(WatchRules.Prefix.mark.count).split(separator: " ")
                guard state == "none", let word = words.first else { continue }
                state = String(word)
                direction = words.count > 1 ? String(words[1]) : nil
            } else if message.hasPrefix("nf_ct_") {
                remarks.append(message)
            }
        }
    }
}

/// The sockets, devices and files through which the machine is driven and watched; all of them
/// were opened inside its namespace.
struct Organs: ~Copyable {
    let devices: TunDevices
    var events: ConntrackEvents
    var table: ConntrackTable
    var log: PacketLog
    var counters: KernelCounters
    let settingsMissing: [String]

    /// Builds the machine; the calling thread is inside the namespace.
    init(_ node: LiveNode, _ plan: SettingPlan) throws(LiveKernelError) {
        let tools = try Tools()
        try RouterSetup.makeRouter()
        let missing = try plan.apply()
        let events = try live { () throws(SystemCallError) in try ConntrackEvents() }
        let table = try live { () throws(SystemCallError) in try ConntrackTable() }
        let log = try live { () throws(SystemCallError) in
            try PacketLog(watchGroup: WatchRules.logGroup)
        }
        let counters = try live { () throws(SystemCallError) in try KernelCounters() }
        let devices = try building { () throws(SystemCallError) in
            try TunDevices(named: node.interfaces.map(\.name))
        }
        try RouterSetup.load(node, with: tools)
        try RouterSetup.configure(node.interfaces, with: tools)
        settingsMissing = missing
        self.events = events
        self.table = table
        self.log = log
        self.counters = counters
        self.devices = devices
    }

    /// Forgets what building the machine itself caused: where counting begins.
    mutating func settle() throws(SystemCallError) -> KernelCounters.Reading {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        for index in devices.names.indices {
            while try devices.read(from: index, into: &buffer) != nil {}
        }
        _ = try log.drain()
        _ = try events.drain()
        return try counters.read()
    }
}
