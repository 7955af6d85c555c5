import Conntrack
import Wire

// The bars of the table, on parsed packets: tracking and confirmation, as a data path with routing
// and rules of its own would call them. The whole path, with our routing, stands beside them.

/// New UDP connections while a million live.
///
/// The table has been fuller before, so that no memory is touched for the first time: that costs
/// what the machine's kernel takes for a page, not what a table does.
func newConnections(_ manner: Manner, bar: Double) {
    var node = gateway(million * 2)
    var feeder = Feeder(manner)
    feeder.track(million + million, by: &node, at: .start, expecting: .new) { Flows.datagram($0) }
    node.flush(at: .start)
    feeder.track(million, by: &node, at: .start, expecting: .new) { Flows.datagram($0) }
    var next = million
    let figure = measured {
        let first = next
        next += 100_000
        return nanosecondsEach(100_000) {
            feeder.track(100_000, by: &node, at: .start, expecting: .new) {
                Flows.datagram(first + $0)
            }
        }
    }
    report("new UDP connection, 1 M live, \(manner.rawValue)", figure, "ns", bar: bar)
}

/// Established connections at random over a million, and a thousand hot ones among them.
func establishedConnections(_ manner: Manner, bar: Double, hotBar: Double?) {
    var node = gateway(million)
    var feeder = Feeder(manner)
    feeder.track(million, by: &node, at: .start, expecting: .new) { Flows.datagram($0) }
    feeder.track(million, by: &node, at: .start, expecting: .establishedReply) {
        Flows.datagram($0, reply: true)
    }
    let later = Instant(nanoseconds: 3_000_000_000)
    var scatter = Scatter(count: million)
    let figure = measured {
        nanosecondsEach(500_000) {
            feeder.track(500_000, by: &node, at: later, expecting: .established) { _ in
                Flows.datagram(scatter.next())
            }
        }
    }
    report("established, random over 1 M, \(manner.rawValue)", figure, "ns", bar: bar)
    let hot = measured {
        nanosecondsEach(1_000_000) {
            feeder.track(1_000_000, by: &node, at: later, expecting: .established) {
                Flows.datagram($0 & 1023)
            }
        }
    }
    report("established, 1 024 hot flows, \(manner.rawValue)", hot, "ns", bar: hotBar)
}

/// The same through routing and every hook.
func wholePath() {
    var node = gateway(million)
    func pass(_ packet: Packet, _ state: ConntrackInfo, at now: Instant) {
        var packet = packet
        let end = node.receive(&packet, at: now)
        expect(end.verdict == .forwarded && packet.info == state, "a packet was \(packet.info)")
    }
    for flow in 0..<million { pass(Flows.datagram(flow), .new, at: .start) }
    for flow in 0..<million {
        pass(Flows.datagram(flow, reply: true), .establishedReply, at: .start)
    }
    let later = Instant(nanoseconds: 3_000_000_000)
    var scatter = Scatter(count: million)
    let random = measured {
        nanosecondsEach(500_000) {
            for _ in 0..<500_000 { pass(Flows.datagram(scatter.next()), .established, at: later) }
        }
    }
    report("whole path with routing: random over 1 M, one at a time", random, "ns")
    let hot = measured {
        nanosecondsEach(1_000_000) {
            for round in 0..<UInt32(1_000_000) {
                pass(Flows.datagram(round & 1023), .established, at: later)
            }
        }
    }
    report("whole path with routing: 1 024 hot flows, one at a time", hot, "ns")
}

/// Whole TCP lives, window tracking, the collector running: 32 lives side by side in batches.
func wholeLives(_ manner: Manner, bar: Double) {
    var node = gateway(million)
    var feeder = Feeder(manner)
    var now: UInt64 = 0
    var flow: UInt32 = 0
    // 7 000 lives a second of 120 s TIME_WAIT: about 850 000 live.
    let step: UInt64 = 32 * 1_000_000_000 / 7_000 / 6
    func lives(_ count: UInt32) {
        for _ in 0..<count / 32 {
            for segment in 0..<6 {
                now += step
                let at = Instant(nanoseconds: now)
                node.advance(to: at)
                let first = flow
                feeder.track(
                    32, by: &node, at: at,
                    expecting: segment == 0
                        ? .new : segment == 1 || segment == 4 ? .establishedReply : .established
                ) { Flows.life((first + $0) & 0xff_ffff, segment) }
            }
            flow += 32
        }
    }
    lives(1_000_000)
    let figure = measured { nanosecondsEach(200_000) { lives(200_000) } }
    report(
        "TCP life, 6 packets, \(node.count / 1000) k live, collector running, \(manner.rawValue)",
        figure, "ns", bar: bar)
}

/// A gateway that masquerades what leaves by its second interface.
func masquerading(_ size: UInt32) -> Node {
    let rules = """
        table ip nat {
            chain post {
                type nat hook postrouting priority srcnat
                oifname "wan" masquerade
            }
        }
        """
    return gateway(size, rules: rules)
}

/// Opens flows through such a gateway, 16 to each destination.
func openMasqueraded(_ node: inout Node, _ flows: Range<UInt32>) {
    for flow in flows {
        var packet = Flows.datagram(flow)
        packet.tuple.destination = Address(ipv4: 0xc633_6400 + (flow >> 4))
        let end = node.receive(&packet, at: .start)
        expect(
            end.verdict == .forwarded && packet.tuple.source.ipv4 >> 8 == 0xcb0071,
            "a packet left from \(packet.tuple.source)")
    }
}

/// New connections that leave masqueraded.
func masqueraded() {
    var node = masquerading(million)
    // Fuller once, so that no memory is touched for the first time.
    openMasqueraded(&node, 0..<700_000)
    node.flush(at: .start)
    openMasqueraded(&node, 0..<100_000)
    var next: UInt32 = 100_000
    let figure = measured {
        defer { next += 100_000 }
        return nanosecondsEach(100_000) { openMasqueraded(&node, next..<next + 100_000) }
    }
    report("new connection with masquerade, whole path, 0.1–0.6 M live", figure, "ns", bar: 450)
}

/// Bytes a connection costs, TCP state and buckets included, in a table with as many buckets as
/// connections.
func bytesPerConnection(_ family: Family, count: UInt32) -> Double {
    var node = gateway(count)
    var feeder = Feeder(.oneAtATime)
    feeder.track(count, by: &node, at: .start, expecting: .new) { Flows.opening($0, family) }
    return Double(node.tableByteCount) / Double(node.count)
}

func bytesEach() {
    for (family, name, bar) in [(Family.ipv4, "IPv4", 144.0), (.ipv6, "IPv6", 208)] {
        report(
            "bytes per \(name) connection, buckets = connections",
            bytesPerConnection(family, count: million), "B", bar: bar)
    }
}

/// The collector over an empty table.
func collector() {
    var node = gateway(million)
    var tick: UInt64 = 250
    let figure = measured {
        nanosecondsEach(1) {
            repeat {
                node.collect(atTick: tick)
                tick += 1
            } while node.table.collector.nextBucket != 0
        } / 1e6
    }
    report("collector: scan of 1 M empty buckets", figure, "ms", bar: 10)
}
