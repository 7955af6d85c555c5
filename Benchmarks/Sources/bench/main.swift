import Conntrack
import Glibc
import LinuxCalls
import Simulator
import Wire

// Every bar of the performance page that the table can show, with the figure of this machine. A
// benchmark whose packets are not accepted as it expects stops: refused packets look fast.

func report(_ name: String, bar: String, _ figure: Double, _ unit: String, limit: Double) {
    let text = "\(Int(figure.rounded())) \(unit)"
    print(
        "\(pad(name, 62)) \(pad(bar, 12)) \(pad(text, 12)) \(figure <= limit ? "met" : "NOT MET")")
}

func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

func gateway(_ size: UInt32, rules: String? = nil) -> Node {
    var configuration = NodeConfiguration()
    configuration.tracking = .always
    configuration.sysctl.max = size * 2
    configuration.sysctl.buckets = size
    configuration.interfaces = [
        Interface(
            name: "lan", addresses: [Prefix(.ipv4, Address(ipv4: 0x0a00_0001), length: 8)]),
        Interface(
            name: "wan", addresses: [Prefix(.ipv4, Address(ipv4: 0xcb00_7101), length: 24)],
            isDefault: true),
    ]
    return Node(configuration)
}

@inline(__always)
func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
    guard !condition else { return }
    fatalError("the benchmark measures nothing: \(what())")
}

let million: UInt32 = 1 << 20

/// `bench NAME…` runs only the parts named: new, random, lives, collector, events.
func isWanted(_ part: String) -> Bool {
    CommandLine.arguments.count < 2 || CommandLine.arguments.dropFirst().contains(part)
}

func fill(_ node: inout Node, _ flows: Range<UInt32>, at now: Instant) {
    for flow in flows {
        var packet = Flows.datagram(flow)
        let end = node.receive(&packet, at: now)
        expect(end.verdict == .forwarded && packet.info == .new, "a new flow was \(packet.info)")
    }
}

if CommandLine.arguments.count == 4, CommandLine.arguments[1] == "make-capture",
    let count = Int(CommandLine.arguments[3])
{
    exit(CaptureGenerator.write(to: CommandLine.arguments[2], packetCount: count) ? 0 : 1)
}

print("\(pad("", 62)) \(pad("bar", 12)) figure")

// New UDP connections while a million live.
if isWanted("new") {
    var node = gateway(million * 2)
    fill(&node, 0..<million, at: .start)
    var next = million
    let figure = measured {
        defer { next += 100_000 }
        return nanosecondsEach(100_000) { fill(&node, next..<next + 100_000, at: .start) }
    }
    report("new UDP connection, 1 M live, one at a time", bar: "300 ns", figure, "ns", limit: 300)
}

// Established, random over a million.
if isWanted("random") {
    var node = gateway(million)
    fill(&node, 0..<million, at: .start)
    for flow in 0..<million {
        var packet = Flows.datagram(flow, reply: true)
        _ = node.receive(&packet, at: .start)
    }
    let later = Instant(nanoseconds: 3_000_000_000)
    var scatter = Scatter(count: million)
    let figure = measured {
        nanosecondsEach(500_000) {
            for _ in 0..<500_000 {
                var packet = Flows.datagram(scatter.next())
                _ = node.receive(&packet, at: later)
                expect(packet.info == .established, "a known flow was \(packet.info)")
            }
        }
    }
    report("established, random over 1 M, one at a time", bar: "300 ns", figure, "ns", limit: 300)
    let hot = measured {
        nanosecondsEach(1_000_000) {
            for round in 0..<UInt32(1_000_000) {
                var packet = Flows.datagram(round & 1023)
                _ = node.receive(&packet, at: later)
                expect(packet.info == .established, "a hot flow was \(packet.info)")
            }
        }
    }
    report("established, 1 024 hot flows", bar: "60 ns", hot, "ns", limit: 60)
    let bytes = Double(node.tableByteCount) / Double(node.count)
    report("bytes per IPv4 connection, buckets = connections", bar: "144 B", bytes, "B", limit: 144)
}

// Whole TCP lives, window tracking, the collector running.
if isWanted("lives") {
    var node = gateway(million)
    var now: UInt64 = 0
    var flow: UInt32 = 0
    // 7 000 lives a second of 120 s TIME_WAIT: about 850 000 live.
    let step: UInt64 = 1_000_000_000 / 7_000 / 6
    func lives(_ count: Int) {
        for _ in 0..<count {
            for segment in 0..<6 {
                now += step
                let at = Instant(nanoseconds: now)
                node.advance(to: at)
                var packet = Flows.life(flow & 0xff_ffff, segment)
                let end = node.receive(&packet, at: at)
                expect(
                    end.verdict == .forwarded && packet.info != .invalid,
                    "a segment was \(packet.info)")
            }
            flow += 1
        }
    }
    lives(1_000_000)
    let figure = measured { nanosecondsEach(200_000) { lives(200_000) } }
    report(
        "complete TCP life, 6 packets, \(node.count / 1000) k live, collector running",
        bar: "2000 ns", figure, "ns", limit: 2000)
}

// The collector over an empty table.
if isWanted("collector") {
    var node = gateway(million)
    var tick: UInt64 = 250
    let figure = measured {
        nanosecondsEach(1) {
            repeat {
                node.collect(atTick: tick)
                tick += 1
            } while node.table.collector.nextBucket != 0
        } / 1000
    }
    report("collector: scan of 1 M empty buckets", bar: "10 000 µs", figure, "µs", limit: 10_000)
}

// The simulator's queue: one event out, one in, a million pending over a second.
if isWanted("events") {
    var sum: UInt64 = 0
    let figure = measured {
        let filling = nanosecondsEach(1) {
            sum &+= EventQueue.churn(
                pending: 1 << 20, rounds: 0, spread: 1_000_000_000, seed: 1)
        }
        let both = nanosecondsEach(1) {
            sum &+= EventQueue.churn(
                pending: 1 << 20, rounds: 4 << 20, spread: 1_000_000_000, seed: 1)
        }
        return (both - filling) / Double(4 << 20)
    }
    expect(sum != 0, "no event came out")
    report("event queue, pop + push, 1 M pending", bar: "67 ns", figure, "ns", limit: 67)
}
