import Testing
import Wire

@testable import Conntrack

// Source NAT: spec nat.md §3 and §10 cases 1-8. Every packet that comes out has its checksums
// verified by the bench.
//
// What a range of addresses maps to was recorded on the live kernel (6.18.44): the choice has no
// secret in it.

struct NATSourceTests {
    static let toTen = Chain.postrouting("oifname \"srv\" snat to 10.2.0.10")

    @Test("nat.md case 1: SNAT: the mapping, its bits, checksums, the way back")
    func mapsTheSource() throws {
        let bench = try NATBench(Self.toTen)
        let sent = bench.pass(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
        #expect(sent.out == "10.2.0.10:1000 > 10.2.0.2:80")
        #expect(sent.by == "srv")
        #expect(sent.state == "new")
        #expect(sent.reply == "10.2.0.2:80 > 10.2.0.10:1000")
        #expect(sent.natBits == ["SRC_NAT", "SRC_NAT_DONE", "DST_NAT_DONE"])
        let answer = bench.pass(
            Make.tcp("10.2.0.2:80 > 10.2.0.10:1000", [.syn, .ack], sequence: 7, ack: 1))
        #expect(answer.out == "10.2.0.2:80 > 10.1.0.2:1000")
        #expect(answer.by == "cli")
        #expect(answer.state == "established-reply")
    }

    @Test("nat.md case 1b: a UDP checksum of zero stays zero")
    func keepsNoChecksum() throws {
        let bench = try NATBench(Self.toTen)
        let sent = bench.pass(
            Make.udp("10.1.0.2:1000 > 10.2.0.2:53") { $0.overrides.transportChecksum = 0 })
        #expect(sent.out == "10.2.0.10:1000 > 10.2.0.2:53")
        #expect(sent.bytes[0][26...27] == [0, 0])
    }

    @Test("nat.md §5: a checksum that comes out as zero is sent as its other form")
    func neverComputesNoChecksum() throws {
        let bench = try NATBench(Self.toTen)
        var met = 0
        // The payload decides the checksum: one of all its values makes the translated sum zero.
        for word in UInt16(0)...UInt16.max {
            let payload = [UInt8(word >> 8), UInt8(word & 0xff)]
            let translated = Make.udp("10.2.0.10:1000 > 10.2.0.2:53", payload: payload)
            guard translated[26...27] == [0xff, 0xff] else { continue }
            let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53", payload: payload))
            #expect(sent.bytes[0][26...27] == [0xff, 0xff])
            met += 1
        }
        #expect(met > 0)
    }

    struct ClashRow: CustomTestStringConvertible, Sendable {
        let port: UInt16
        let ports: ClosedRange<UInt16>

        init(_ port: UInt16, _ ports: ClosedRange<UInt16>) {
            self.port = port
            self.ports = ports
        }

        var testDescription: String { "port \(port) -> one of \(ports)" }
    }

    @Test(
        "nat.md case 2: a second client with the same port gets another of the same class",
        arguments: [
            ClashRow(4000, 1024...65535), ClashRow(1024, 1024...65535), ClashRow(1023, 600...1023),
            ClashRow(700, 600...1023), ClashRow(512, 600...1023), ClashRow(600, 600...1023),
            ClashRow(511, 1...511), ClashRow(300, 1...511),
        ])
    func staysInItsClass(_ row: ClashRow) throws {
        for seed in UInt64(0)..<50 {
            let bench = try NATBench(Self.toTen) { $0.seed = seed }
            let first = bench.pass(Make.tcp("10.1.0.2:\(row.port) > 10.2.0.2:80"))
            #expect(first.sourcePort == row.port)
            let (second, counters) = bench.counting {
                bench.pass(Make.tcp("10.1.0.3:\(row.port) > 10.2.0.2:80"))
            }
            let port = try #require(second.sourcePort)
            #expect(row.ports.contains(port) && port != row.port, "seed \(seed)")
            #expect(second.source == "10.2.0.10")
            // Own port, then once more where the rule's address is set: both taken.
            #expect((counters["found"] ?? 0) >= 1)
        }
    }

    @Test(
        "nat.md case 3: same port, other destination: the port is kept",
        arguments: ["10.2.0.2:81", "10.2.0.3:80"])
    func keepsThePort(_ destination: String) throws {
        let bench = try NATBench(Self.toTen)
        bench.pass(Make.tcp("10.1.0.2:4000 > 10.2.0.2:80"))
        let sent = bench.pass(Make.tcp("10.1.0.3:4000 > \(destination)"))
        #expect(sent.out == "10.2.0.10:4000 > \(destination)")
    }

    @Test("nat.md case 4: one client socket keeps one mapping for all destinations")
    func keepsOneMapping() throws {
        for seed in UInt64(0)..<20 {
            let bench = try NATBench(Self.toTen) { $0.seed = seed }
            bench.pass(Make.tcp("10.1.0.2:4200 > 10.2.0.2:80"))
            let remapped = bench.pass(Make.tcp("10.1.0.3:4200 > 10.2.0.2:80"))
            let port = try #require(remapped.sourcePort)
            #expect(port != 4200)
            for destination in ["10.2.0.2:81", "10.2.0.3:80", "10.2.0.77:4242"] {
                let other = bench.pass(Make.tcp("10.1.0.3:4200 > \(destination)"))
                #expect(other.out == "10.2.0.10:\(port) > \(destination)", "seed \(seed)")
            }
            // The index is one for each protocol.
            let datagram = bench.pass(Make.udp("10.1.0.3:4200 > 10.2.0.2:81"))
            #expect(datagram.out == "10.2.0.10:4200 > 10.2.0.2:81")
        }
    }

    // MARK: Ranges of addresses

    @Test("nat.md case 5: the address of a range, as the kernel chose it", arguments: Choice.all)
    func choosesTheAddress(_ row: Choice) throws {
        let family = row.isIPv6 ? "ip6" : "ip"
        let bench = try NATBench(
            row.isSource
                ? Chain.postrouting("snat to \(row.range)", family)
                : Chain.prerouting("dnat to \(row.range)", family)
        ) {
            $0.interfaces[1].isDefault = true
            $0.interfaces[1].addresses.removeAll { $0.address.ipv4 != 0x0a02_0001 }
        }
        let client = row.isIPv6 ? "[fd01::2]" : "10.1.0.2"
        for (index, (destination, chosen)) in row.choices.enumerated() {
            let server = row.isIPv6 ? "[\(destination)]" : destination
            let sent = bench.pass(Make.udp("\(client):\(5000 + index) > \(server):53"))
            #expect((row.isSource ? sent.source : sent.destination) == chosen, "\(destination)")
        }
    }

    @Test("nat.md case 5b: one client socket keeps one address of the range")
    func keepsOneAddress() throws {
        let bench = try NATBench(
            Chain.postrouting("oifname \"srv\" snat to 10.2.0.10-10.2.0.13"))
        let addresses = (100..<120).map {
            bench.pass(Make.udp("10.1.0.2:5000 > 10.2.0.\($0):53")).source
        }
        #expect(Set(addresses).count == 1)
    }

    @Test("nat.md case 5c: persistent: one address for all of a client's destinations")
    func persists() throws {
        let bench = try NATBench(
            Chain.postrouting("oifname \"srv\" snat to 10.2.0.10-10.2.0.13 persistent"))
        // Recorded: clients 10.1.0.3 to 10.1.0.12.
        for (index, last) in [13, 13, 12, 10, 11, 11, 11, 13, 10, 11].enumerated() {
            for destination in 100..<104 {
                let sent = bench.pass(
                    Make.udp(
                        "10.1.0.\(3 + index):\(5000 + destination) > 10.2.0.\(destination):53"))
                #expect(sent.source == "10.2.0.\(last)")
            }
        }
    }

    // MARK: Ranges of ports

    @Test("nat.md case 6: a port range that is used up: silence, drop and insert_failed")
    func runsOut() throws {
        let bench = try NATBench(
            Chain.postrouting("meta l4proto { tcp, udp } snat to 10.2.0.10:5000-5003"))
        var ports: Set<UInt16> = []
        for client in 2..<6 {
            let sent = bench.pass(Make.udp("10.1.0.\(client):1000 > 10.2.0.2:53"))
            ports.insert(try #require(sent.sourcePort))
        }
        #expect(ports == [5000, 5001, 5002, 5003])
        let (fifth, counters) = bench.counting {
            bench.pass(Make.udp("10.1.0.6:1000 > 10.2.0.2:53"))
        }
        #expect(fifth.verdict == .dropped && fifth.reason == .insertFailed)
        #expect(fifth.entry == nil)
        #expect(counters == ["drop": 1, "insert_failed": 1, "found": 4])
        #expect(bench.events.isEmpty && bench.node.count == 4)
        #expect(bench.node.kernelLog.lines.isEmpty)
        let elsewhere = bench.pass(Make.udp("10.1.0.6:1000 > 10.2.0.3:53"))
        #expect(elsewhere.out != nil)
    }

    @Test("nat.md case 7: an own port inside the range is kept while it is free")
    func prefersItsOwnPort() throws {
        for seed in UInt64(0)..<20 {
            let bench = try NATBench(
                Chain.postrouting("meta l4proto { tcp, udp } snat to 10.2.0.10:5000-5010")
            ) { $0.seed = seed }
            let first = bench.pass(Make.tcp("10.1.0.2:5007 > 10.2.0.2:80"))
            #expect(first.sourcePort == 5007)
            let second = bench.pass(Make.tcp("10.1.0.3:5007 > 10.2.0.2:80"))
            let port = try #require(second.sourcePort)
            #expect(port != 5007 && (5000...5010).contains(port), "seed \(seed)")
        }
    }

    @Test(
        "nat.md cases 7b, 7c: a range of one port that is the own one is not tested",
        arguments: [IPProtocol.tcp, IPProtocol.udp])
    func trustsASinglePort(_ number: UInt8) throws {
        let bench = try NATBench(
            Chain.postrouting("meta l4proto { tcp, udp } snat to 10.2.0.10:5000"))
        let make: (String) -> [UInt8] = { number == IPProtocol.tcp ? Make.tcp($0) : Make.udp($0) }
        #expect(bench.pass(make("10.1.0.2:5000 > 10.2.0.2:80")).sourcePort == 5000)
        let (second, counters) = bench.counting {
            bench.pass(make("10.1.0.3:5000 > 10.2.0.2:80"))
        }
        #expect(second.reason == .insertFailed)
        #expect(counters == ["drop": 1, "insert_failed": 1])
        #expect(bench.node.count == 1)
    }

    @Test(
        "nat.md case 8: random: the own port is nothing special, a socket has no one mapping",
        arguments: ["random", "fully-random"])
    func isRandom(_ flag: String) throws {
        let bench = try NATBench(Chain.postrouting("oifname \"srv\" snat to 10.2.0.10 \(flag)"))
        let ports = (0..<10).compactMap {
            bench.pass(Make.tcp("10.1.0.2:4000 > 10.2.0.\(100 + $0):80")).sourcePort
        }
        #expect(ports.count == 10)
        #expect(Set(ports).count > 1)
        #expect(ports.contains { $0 != 4000 })
        #expect(ports.allSatisfy { $0 >= 1024 })
    }

    @Test("nat.md case 34: random: a retransmitted SYN keeps its port; after a flush it draws anew")
    func keepsWhatItDrew() throws {
        let bench = try NATBench(Chain.postrouting("oifname \"srv\" snat to 10.2.0.10 random"))
        let syn = Make.tcp("10.1.0.2:4000 > 10.2.0.2:80")
        let first = bench.pass(syn).sourcePort
        for _ in 0..<5 { #expect(bench.pass(syn).sourcePort == first) }
        var drawn: Set<UInt16?> = [first]
        for _ in 0..<5 {
            bench.flush()
            drawn.insert(bench.pass(syn).sourcePort)
        }
        #expect(drawn.count > 1)
    }

    @Test("nat.md case 22: the id of an echo is its port")
    func mapsTheIdentifier() throws {
        let bench = try NATBench(Self.toTen)
        #expect(
            bench.pass(Make.echo("10.1.0.2 > 10.2.0.2", id: 77)).out == "10.2.0.10 > 10.2.0.2 id 77"
        )
        let second = bench.pass(Make.echo("10.1.0.3 > 10.2.0.2", id: 77))
        let id = try #require(second.sourcePort)
        #expect(id != 77)
        #expect(second.reply == "10.2.0.2 > 10.2.0.10 id \(id)")
        let answer = bench.pass(Make.echo("10.2.0.2 > 10.2.0.10", id: id, isReply: true))
        #expect(answer.out == "10.2.0.2 > 10.1.0.3 id 77")
        #expect(answer.state == "established-reply")
    }
}
