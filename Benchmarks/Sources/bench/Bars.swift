import Conntrack
import Glibc
import Wire

// What every part needs: machines to measure, packets to hand over, and a line for each figure. A
// benchmark whose packets are not accepted as it expects stops: refused packets look fast.

/// One line of the page: a figure beside its bar, or beside none.
func report(_ name: String, _ figure: Double, _ unit: String, bar: Double? = nil) {
    let bound = bar.map { "\(number($0)) \(unit)" } ?? ""
    let verdict = bar.map { figure <= $0 ? "met" : "NOT MET" } ?? ""
    print("\(pad(name, 64)) \(pad(bound, 12)) \(pad("\(number(figure)) \(unit)", 14)) \(verdict)")
}

private func number(_ value: Double) -> String {
    value < 10 && value != value.rounded()
        ? "\((value * 100).rounded() / 100)" : "\(Int(value.rounded()))"
}

private func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

@inline(__always)
func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
    guard !condition else { return }
    fatalError("the benchmark measures nothing: \(what())")
}

let million: UInt32 = 1 << 20

/// A gateway whose table has `size` buckets and room for twice as many connections.
func gateway(_ size: UInt32, rules: String? = nil) -> Node {
    var configuration = NodeConfiguration()
    configuration.tracking = .always
    configuration.sysctl.max = size * 2
    configuration.sysctl.buckets = size
    configuration.interfaces = [
        Interface(
            name: "lan",
            addresses: [
                Prefix(.ipv4, Address(ipv4: 0x0a00_0001), length: 8),
                Prefix(.ipv6, Address(high: 0xfd00 << 48, low: 1), length: 64),
            ]),
        Interface(
            name: "wan",
            addresses: (1...16).map {
                Prefix(.ipv4, Address(ipv4: 0xcb00_7100 + UInt32($0)), length: 24)
            } + [Prefix(.ipv6, Address(high: 0xfd01 << 48, low: 1), length: 64)],
            isDefault: true),
    ]
    if let rules {
        guard
            let ruleset = try? Ruleset(
                nftables: rules, file: "bench", interfaces: ["lan", "wan"])
        else { fatalError("the benchmark's rules are no rules") }
        configuration.ruleset = ruleset
    }
    return Node(configuration)
}

/// How a part hands its packets over.
enum Manner: String {
    case oneAtATime = "one at a time"
    case batches = "batches of 32"
}

/// Hands packets to a machine's tracker, one at a time or 32 at once.
struct Feeder: ~Copyable {
    let manner: Manner
    private var packets: [Packet] = []
    private var drops = [DropReason?](repeating: nil, count: 32)

    init(_ manner: Manner) {
        self.manner = manner
        packets.reserveCapacity(32)
    }

    /// Tracks `count` packets; every one must be what `state` says afterwards.
    @inline(__always)
    mutating func track(
        _ count: UInt32, by node: inout Node, at now: Instant, expecting state: ConntrackInfo,
        _ make: (UInt32) -> Packet
    ) {
        guard manner == .batches else {
            for index in 0..<count {
                var packet = make(index)
                let reason = node.track(&packet, at: now)
                expect(reason == nil && packet.info == state, "a packet was \(packet.info)")
            }
            return
        }
        var done: UInt32 = 0
        while done < count {
            packets.removeAll(keepingCapacity: true)
            for index in done..<min(done + 32, count) { packets.append(make(index)) }
            Self.hand(&packets, &drops, to: &node, at: now)
            for index in packets.indices {
                expect(
                    drops[index] == nil && packets[index].info == state,
                    "a packet was \(packets[index].info)")
            }
            done += 32
        }
    }

    private static func hand(
        _ packets: inout [Packet], _ drops: inout [DropReason?], to node: inout Node,
        at now: Instant
    ) {
        var span = packets.mutableSpan
        var reasons = drops.mutableSpan
        node.track(&span, drops: &reasons, at: now)
    }
}
