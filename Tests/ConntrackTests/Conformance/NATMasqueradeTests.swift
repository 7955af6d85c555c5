import Testing
import Wire

@testable import Conntrack

// Masquerading, and the mappings nobody asked for: spec nat.md §2, §8, §10 cases 11 and 12.

struct NATMasqueradeTests {
    static let out = Chain.postrouting("oifname \"srv\" masquerade")

    @Test("nat.md case 11: MASQUERADE: the egress interface's primary address")
    func takesThePrimaryAddress() throws {
        let bench = try NATBench(Self.out)
        let sent = bench.pass(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
        #expect(sent.out == "10.2.0.1:1000 > 10.2.0.2:80")
        #expect(sent.natBits == ["SRC_NAT", "SRC_NAT_DONE", "DST_NAT_DONE"])
        let answer = bench.pass(Make.tcp("10.2.0.2:80 > 10.2.0.1:1000", [.syn, .ack], ack: 1))
        #expect(answer.out == "10.2.0.2:80 > 10.1.0.2:1000")
    }

    @Test("nat.md case 11b: another address that goes keeps connections; the device going does not")
    func flushesWithTheDevice() throws {
        let bench = try NATBench(Self.out)
        for client in 2..<6 { bench.pass(Make.udp("10.1.0.\(client):1000 > 10.2.0.2:53")) }
        bench.pass(Make.udp("10.1.0.9:1000 > 10.1.0.1:53"))  // Never leaves the client side.
        let moment = bench.node.moment(bench.now)
        let srv = bench.index(of: "srv")
        let other = Make.Flow("10.2.0.11 > 10.2.0.2").source
        #expect(bench.node.table.flushMasqueraded(srv, losing: other, at: moment) == 0)
        #expect(bench.node.count == 5)
        let down = bench.node.table.flushMasqueraded(
            bench.index(of: "cli"), losing: nil, at: moment)
        #expect(down == 0)
        #expect(bench.node.table.flushMasqueraded(srv, losing: nil, at: moment) == 4)
        #expect(bench.table == ["10.1.0.9:1000 > 10.1.0.1:53 | 10.1.0.1:53 > 10.1.0.9:1000"])
    }

    @Test("nat.md case 11c: an address that goes takes only what was masqueraded to it")
    func flushesWithTheAddress() throws {
        let bench = try NATBench(
            Chain.postrouting(
                """
                ip saddr 10.1.0.9 snat to 10.2.0.1
                oifname "srv" masquerade
                """)
        ) { $0.interfaces[1].addresses += NATBench.prefixes("10.3.0.1/24") }
        bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        bench.pass(Make.udp("10.1.0.2:1001 > 10.3.0.2:53"))
        bench.pass(Make.udp("10.1.0.9:1000 > 10.2.0.3:53"))
        let lost = Make.Flow("10.2.0.1 > 10.2.0.1").source
        let removed = bench.node.table.flushMasqueraded(
            bench.index(of: "srv"), losing: lost, at: bench.node.moment(bench.now))
        #expect(removed == 1)
        #expect(
            bench.table == [
                "10.1.0.2:1001 > 10.3.0.2:53 | 10.3.0.2:53 > 10.3.0.1:1001",
                "10.1.0.9:1000 > 10.2.0.3:53 | 10.2.0.3:53 > 10.2.0.1:1000",
            ])
    }

    @Test("nat.md case 11d: another egress: the packet is dropped with its entry, the next is new")
    func diesWithItsRoute() throws {
        let bench = try NATBench(Chain.postrouting("masquerade")) {
            $0.interfaces.append(
                Interface(name: "alt", addresses: NATBench.prefixes("10.4.0.1/24")))
        }
        let datagram = Make.udp("10.1.0.2:1000 > 10.2.0.2:53")
        bench.pass(datagram)
        bench.pass(Make.udp("10.2.0.2:53 > 10.2.0.1:1000"))
        var held = try bench.hold(datagram)
        held.packet.outInterface = bench.index(of: "alt")  // The route has changed.
        let counters = bench.counters { #expect(bench.release(held) == "nat") }
        #expect(counters.isEmpty)
        #expect(bench.events == ["DESTROY"] && bench.node.count == 0)
        var next = try bench.hold(datagram)
        #expect(next.packet.info == .new)
        next.packet.outInterface = bench.index(of: "alt")
        #expect(bench.release(next) == "10.4.0.1:1000 > 10.2.0.2:53")
    }

    @Test("nat.md case 11e: only original packets are held to the egress interface")
    func answersMayMove() throws {
        let bench = try NATBench(Self.out)
        bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        var held = try bench.hold(Make.udp("10.2.0.2:53 > 10.2.0.1:1000"))
        held.packet.outInterface = bench.index(of: "srv")
        #expect(bench.release(held) == "10.2.0.2:53 > 10.1.0.2:1000")
    }

    @Test("nat.md §2: a masquerade rule met by an older entry ties it to no interface")
    func leavesOldEntriesAlone() throws {
        // Observed on 6.18.44: neither another route nor the device going down ends it.
        let bench = try NATBench(Chain.filter("forward", 0, "ct state new accept")) {
            $0.interfaces.append(
                Interface(name: "alt", addresses: NATBench.prefixes("10.4.0.1/24")))
        }
        let datagram = Make.udp("10.1.0.2:1000 > 10.2.0.2:53")
        bench.pass(datagram)
        try bench.replaceRules(Chain.postrouting("oifname \"srv\" counter masquerade"))
        #expect(bench.pass(datagram).out == "10.1.0.2:1000 > 10.2.0.2:53")
        #expect(bench.ruleCounters == [1])
        bench.pass(Make.udp("10.2.0.2:53 > 10.1.0.2:1000"))
        var held = try bench.hold(datagram)
        held.packet.outInterface = bench.index(of: "alt")
        #expect(bench.release(held) == "10.1.0.2:1000 > 10.2.0.2:53")
        let flushed = bench.node.table.flushMasqueraded(
            bench.index(of: "srv"), losing: nil, at: bench.node.moment(bench.now))
        #expect(flushed == 0)
    }

    // MARK: Nat chains among each other

    /// Observed on 6.18.44, as the next two.
    @Test("nat.md §2: a nat chain that accepts leaves the decision to the next one")
    func asksTheNextChain() throws {
        let bench = try NATBench(
            """
            table ip n {
                chain a { type nat hook postrouting priority 90; udp dport 53 counter accept; }
                chain b { type nat hook postrouting priority 110; counter snat to 10.2.0.10; }
                chain c { type nat hook postrouting priority 120; counter snat to 10.2.0.11; }
            }
            """)
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        #expect(sent.out == "10.2.0.10:1000 > 10.2.0.2:53")
        #expect(bench.ruleCounters == [1, 1, 0])
    }

    @Test("nat.md §1: a nat chain's priority orders it among nat chains alone")
    func keepsItsPlace() throws {
        let bench = try NATBench(
            """
            table ip n {
                chain a { type nat hook postrouting priority 300; snat to 10.2.0.10; }
                chain b { type nat hook prerouting priority 300; ip daddr 10.1.0.50 dnat to 10.2.0.2; }
            }
            """ + "\n" + Chain.filter("postrouting", 200, "ip saddr 10.2.0.10 counter")
                + Chain.filter("postrouting", 99, "ip saddr 10.1.0.2 counter")
                + Chain.filter("prerouting", 0, "ip daddr 10.2.0.2 counter")
                + Chain.filter("prerouting", -101, "ip daddr 10.1.0.50 counter"))
        #expect(
            bench.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53")).out
                == "10.2.0.10:1000 > 10.2.0.2:53")
        #expect(bench.ruleCounters == [1, 1, 1, 1])
    }

    @Test("nat.md §2: a nat chain may drop: no entry, nothing counted")
    func dropsInNATChains() throws {
        let bench = try NATBench(
            Chain.postrouting("udp dport 99 drop\nip saddr 10.9.9.9 masquerade"))
        let (sent, counters) = bench.counting {
            bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:99"))
        }
        #expect(sent.reason == .rule && counters.isEmpty && bench.node.count == 0)
    }

    struct Subnet: CustomTestStringConvertible, Sendable {
        let destination: String
        let source: String

        var testDescription: String { "to \(destination) from \(source)" }
    }

    /// Recorded on 6.18.44.
    ///
    /// There the IPv6 addresses were added in the other order: a newer one is preferred among
    /// equals, which the model calls the first.
    @Test(
        "nat.md §2: masquerade takes the address in the next hop's subnet",
        arguments: [
            Subnet(destination: "10.2.0.9", source: "10.2.0.1"),
            Subnet(destination: "10.3.0.9", source: "10.3.0.1"),
            Subnet(destination: "10.4.0.9", source: "10.4.0.1"),
            Subnet(destination: "10.78.0.9", source: "10.2.0.1"),
            Subnet(destination: "[fd02::9]", source: "fd02::7"),
            Subnet(destination: "[fd02:0:0:1::9]", source: "fd02:0:0:1::1"),
            Subnet(destination: "[2001:db8:5::9]", source: "2001:db8:5::1"),
            Subnet(destination: "[fd77::9]", source: "fd02::7"),
            Subnet(destination: "[2001:db8:9::9]", source: "2001:db8:5::1"),
            Subnet(destination: "[2a00::1]", source: "2001:db8:5::1"),
        ])
    func choosesBySubnet(_ row: Subnet) throws {
        let bench = try NATBench(Chain.postrouting("oifname \"srv\" masquerade", "inet")) {
            $0.interfaces[1].isDefault = true
            $0.interfaces[1].addresses = NATBench.prefixes(
                "10.2.0.1/24", "10.3.0.1/24", "10.3.0.5/24", "10.4.0.1/16", "fe80::1/64",
                "fd02::7/64", "2001:db8:5::1/64", "fd02:0:0:1::1/64", "fd02::1/64")
        }
        let client = row.destination.hasPrefix("[") ? "[fd01::2]" : "10.1.0.2"
        let sent = bench.pass(Make.udp("\(client):1000 > \(row.destination):53"))
        #expect(sent.source == row.source)
        #expect(sent.sourcePort == 1000)
    }

    @Test("nat.md §2: masquerade where the interface has no address: dropped, nothing counted")
    func needsAnAddress() throws {
        let bench = try NATBench(Self.out) {
            $0.interfaces[1].addresses = []
            $0.interfaces[1].isDefault = true
        }
        let (sent, counters) = bench.counting {
            bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        }
        #expect(sent.reason == .nat && counters.isEmpty && bench.node.count == 0)
    }

    @Test("nat.md §2: masquerade to a port range, plain and random", arguments: ["", " random"])
    func masqueradesToPorts(_ flag: String) throws {
        let bench = try NATBench(
            Chain.postrouting("meta l4proto tcp masquerade to :6000-6063\(flag)"))
        let ports = (0..<64).compactMap {
            bench.pass(Make.tcp("10.1.0.2:\(1000 + $0) > 10.2.0.2:80")).sourcePort
        }
        #expect(Set(ports) == Set(6000...6063))
    }

    // MARK: Null bindings

    @Test("nat.md case 12: no rule matches: both decisions are made, nothing is changed")
    func decidesNothing() throws {
        let bench = try NATBench(Chain.postrouting("ip saddr 10.9.9.9 masquerade"))
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        #expect(sent.out == "10.1.0.2:1000 > 10.2.0.2:53")
        #expect(sent.natBits == ["SRC_NAT_DONE", "DST_NAT_DONE"])
    }

    @Test("nat.md case 12b: without a nat chain there are no nat bits")
    func staysOut() throws {
        let bench = try NATBench(Chain.filter("forward", 0, "ct state new accept"))
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        #expect(sent.entry?.status == .confirmed)
    }

    @Test("nat.md case 12c: a local socket's port is silently changed when it clashes")
    func changesALocalPort() throws {
        let bench = try NATBench(
            Chain.postrouting("oifname \"srv\" ip saddr 10.1.0.0/24 masquerade"))
        bench.pass(Make.tcp("10.1.0.2:4000 > 10.2.0.2:80"))
        let sent = bench.emit(Make.tcp("10.2.0.1:4000 > 10.2.0.2:80"))
        #expect(sent.source == "10.2.0.1" && sent.state == "new")
        let port = try #require(sent.sourcePort)
        #expect(port != 4000 && port >= 1024)
        #expect(sent.natBits == ["SRC_NAT", "SRC_NAT_DONE", "DST_NAT_DONE"])
        let heard = try bench.hear(
            Make.tcp("10.2.0.2:80 > 10.2.0.1:\(port)", [.syn, .ack], ack: 1))
        #expect(heard == "10.2.0.2:80 > 10.2.0.1:4000")
    }
}
