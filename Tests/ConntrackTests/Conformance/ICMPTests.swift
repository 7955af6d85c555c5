import Testing
import Wire

@testable import Conntrack

/// ICMP, its errors, and ICMPv6: spec protocols.md §5 and §6.
@Suite("ICMP")
struct ICMPTests {
    @Test("protocols.md case 8: an echo and its reply; a reply to nothing is INVALID")
    func echo() {
        var x = Exchange()
        x.icmp(.o, type: 8, "NEW 30 U counted")
        x.icmp(.o, type: 8, "NEW 30 U counted")
        x.wait(seconds: 5)
        x.icmp(.r, type: 0, "ESTABLISHED-reply 30 counted")
        x.icmp(.o, type: 8, "ESTABLISHED 30 counted")
        x.icmp(.r, type: 0, id: 78, "INVALID gone invalid+1")
        x.expectRemark(nil)
        x.wait(seconds: 5)
        x.icmp(.o, type: 8, "ESTABLISHED 30 counted")
        x.expectTable(["30"])
    }

    @Test("protocols.md §5: requests from both sides with one id are two connections")
    func bothWays() {
        var x = Exchange()
        x.icmp(.o, type: 8, "NEW 30 U")
        x.icmp(.r, type: 8, "NEW 30 U")
        x.expect("entries", x.node.count, 2)
    }

    @Test("protocols.md §5: the code is part of the key")
    func code() {
        var x = Exchange()
        x.icmp(.o, type: 8, code: 3, "NEW 30 U")
        x.icmp(.r, type: 0, code: 0, "INVALID gone")
        x.icmp(.r, type: 0, code: 3, "ESTABLISHED-reply 30")
    }

    @Test("protocols.md case 9: types without an answer are invalid", arguments: [UInt8(9), 10])
    func advertisements(type: UInt8) {
        var x = Exchange()
        x.icmp(.o, type: type, "INVALID gone invalid+1")
        x.expectRemark(nil)
    }

    @Test("protocols.md case 9: unknown type, bad checksum, short header are errors")
    func defects() {
        var wrong = PacketBuilder.Overrides()
        wrong.transportChecksum = 0x1234
        var x = Exchange()
        x.icmp(.o, type: 19, "INVALID gone error+1")
        x.expectRemark("invalid icmp type")
        x.icmp(.o, type: 8, "INVALID gone error+1", overrides: wrong)
        x.expectRemark("bad hw icmp checksum")
        x.ip(.o, IPProtocol.icmp, [8, 0, 0xf7, 0xff], "INVALID gone error+1")
        x.expectRemark("short packet")
        x.sysctl("nf_conntrack_checksum", 0)
        x.icmp(.o, type: 8, "NEW 30 U", overrides: wrong)
    }

    @Test("protocols.md §5: a reply to nothing", arguments: [UInt8(0), 14, 16, 18])
    func unsolicited(type: UInt8) {
        var x = Exchange()
        x.icmp(.o, type: type, "INVALID gone invalid+1")
        x.expectRemark(nil)
        x.expectTable([])
    }

    @Test(
        "protocols.md case 21: timestamp, information and mask requests",
        arguments: [(UInt8(13), UInt8(14)), (15, 16), (17, 18)])
    func otherRequests(request: UInt8, reply: UInt8) {
        var x = Exchange()
        x.icmp(.o, type: request, "NEW 30 U")
        let expected = x.node.list(at: x.now).first?.reply.icmpType
        x.expect("type of the reply tuple", expected, reply)
        x.icmp(.r, type: reply, "ESTABLISHED-reply 30")
    }

    // MARK: Errors

    @Test("protocols.md case 10: an error is related to the flow it quotes")
    func related() {
        var x = Exchange()
        x.rPort = 53
        x.udp(.o, "NEW 30 U")
        let quoted = x.datagram(from: .o)
        x.error(.r, type: 3, code: 3, about: quoted, "RELATED-reply 30 U ignored")
        let router = x.router(beside: .r)
        x.error(.r, type: 11, about: quoted, from: router, "RELATED-reply 30 U ignored")
        x.error(
            .r, type: 11, about: quoted, from: router, to: x.router(beside: .o),
            "INVALID 30 U error+1")
        x.expectRemark("outer daddr 10.1.0.9 != inner 10.1.0.2")
    }

    @Test("protocols.md §5.1: every error type", arguments: [UInt8(3), 4, 5, 11, 12])
    func errorTypes(type: UInt8) {
        var x = Exchange()
        x.udp(.o, "NEW 30 U")
        for code: UInt8 in [0, 1, 3, 4, 15] {
            x.error(
                .r, type: type, code: code, about: x.datagram(from: .o),
                "RELATED-reply 30 U ignored")
        }
    }

    @Test("protocols.md §5.1: an error in original direction, about a reply")
    func relatedOriginal() {
        var x = Exchange()
        x.udp(.o, "NEW 30 U")
        x.udp(.r, "ESTABLISHED-reply 30")
        x.error(.o, type: 3, code: 3, about: x.datagram(from: .r), "RELATED 30 ignored")
    }

    @Test("protocols.md §5.1: an error about an echo request")
    func aboutEcho() {
        var x = Exchange()
        x.icmp(.o, type: 8, "NEW 30 U")
        let echo = x.builder(from: .o).icmp(type: 8, identifier: 77)
        x.error(.r, type: 11, about: echo, "RELATED-reply 30 U ignored")
    }

    @Test("protocols.md case 11: four quoted transport bytes are enough, three are not")
    func quotedBytes() {
        var x = Exchange()
        x.udp(.o, "NEW 30 U")
        let quoted = x.datagram(from: .o)
        x.error(.r, type: 3, code: 3, about: quoted, quoting: 24, "RELATED-reply 30 U")
        x.error(.r, type: 3, code: 3, about: quoted, quoting: 23, "INVALID error+1")
        x.expectRemark(nil)
    }

    @Test("protocols.md §5.1: eight quoted bytes of ICMP are needed")
    func quotedEchoBytes() {
        var x = Exchange()
        x.icmp(.o, type: 8, "NEW 30 U")
        let echo = x.builder(from: .o).icmp(type: 8, identifier: 77)
        x.error(.r, type: 11, about: echo, quoting: 28, "RELATED-reply 30 U")
        x.error(.r, type: 11, about: echo, quoting: 27, "INVALID error+1")
    }

    @Test("protocols.md case 11: a quoted later fragment is INVALID")
    func quotedFragment() {
        var x = Exchange()
        x.udp(.o, "NEW 30 U")
        var quoted = x.datagram(from: .o)
        quoted[7] = 1  // Fragment offset 1.
        IPv4Header.setChecksum(in: &quoted)
        x.error(.r, type: 3, code: 3, about: quoted, "INVALID error+1")
    }

    @Test("protocols.md case 11: a quoted ICMP error is INVALID")
    func quotedError() {
        var x = Exchange()
        x.udp(.o, "NEW 30 U")
        let inner = x.builder(from: .r).icmpError(type: 3, code: 3, about: x.datagram(from: .o))
        x.error(.o, type: 3, code: 3, about: inner, "INVALID error+1")
    }

    @Test("protocols.md §5.1: an error about an unknown flow is INVALID")
    func unknownFlow() {
        var x = Exchange()
        x.error(.r, type: 3, code: 3, about: x.datagram(from: .o), "INVALID gone error+1")
        x.expectRemark(nil)
    }

    // MARK: ICMPv6

    private static func exchange() -> Exchange {
        var x = Exchange()
        x.family = .ipv6
        return x
    }

    @Test(
        "protocols.md case 12: echo and node information",
        arguments: [(UInt8(128), UInt8(129)), (139, 140)])
    func queries(request: UInt8, reply: UInt8) {
        var x = Self.exchange()
        x.icmp(.o, type: request, "NEW 30 U")
        x.icmp(.r, type: reply, "ESTABLISHED-reply 30")
        x.icmp(.r, type: reply, id: 78, "INVALID gone invalid+1")
    }

    @Test(
        "protocols.md case 12: discovery is untracked",
        arguments: [UInt8(130), 131, 132, 133, 134, 135, 136, 143, 151, 152])
    func discovery(type: UInt8) {
        var x = Self.exchange()
        x.icmp(.o, type: type, "UNTRACKED gone")
        x.expect("counters", x.counterChange, Counters())
        x.expectTable([])
    }

    @Test("protocols.md case 12: an unknown type is invalid, an unknown error is an error")
    func unknownTypes() {
        var x = Self.exchange()
        x.icmp(.o, type: 200, "INVALID gone invalid+1")
        x.icmp(.o, type: 100, "INVALID gone error+1")
    }

    @Test("protocols.md §6: checksum and length of ICMPv6")
    func defectsOfV6() {
        var wrong = PacketBuilder.Overrides()
        wrong.transportChecksum = 0x1234
        var x = Self.exchange()
        x.icmp(.o, type: 128, "INVALID gone error+1", overrides: wrong)
        x.expectRemark("ICMPv6 checksum failed")
        x.ip(.o, IPProtocol.icmpv6, [128, 0, 0, 0], "INVALID gone error+1")
        x.expectRemark("short packet")
    }

    @Test(
        "protocols.md §6: every type below 128 is an error about a packet",
        arguments: [1, 2, 3, 4, 100])
    func relatedV6(type: UInt8) {
        var x = Self.exchange()
        x.udp(.o, "NEW 30 U")
        x.error(.r, type: type, about: x.datagram(from: .o), "RELATED-reply 30 U ignored")
    }

    /// A redirect to the machine itself, from `source` with this hop limit.
    private static func redirect(
        from source: String, hopLimit: UInt8, code: UInt8 = 0, options: [UInt8]
    ) -> [UInt8] {
        var builder = PacketBuilder(
            .ipv6, from: Prefix.v6(source, length: 128).address,
            to: Prefix.v6("fd01::1", length: 128).address)
        builder.timeToLive = hopLimit
        return builder.icmp(
            type: 137, code: code, payload: [UInt8](repeating: 0, count: 32) + options)
    }

    @Test("protocols.md case 13: redirects that are not to be trusted")
    func redirects() {
        var x = Self.exchange()
        let option: [UInt8] = [2, 1, 0, 0, 0, 0, 0, 0]
        let far = Self.redirect(from: "fe80::5", hopLimit: 64, options: option)
        let foreign = Self.redirect(from: "fd01::2", hopLimit: 255, options: option)
        let bare = Self.redirect(from: "fe80::5", hopLimit: 255, options: [])
        let empty = Self.redirect(
            from: "fe80::5", hopLimit: 255, options: [2, 0, 0, 0, 0, 0, 0, 0])
        x.send(far, from: .o, called: "redirect, hop limit 64", "INVALID gone error+1")
        x.expectRemark("invalid saddr or hoplimit for redirect")
        x.send(foreign, from: .o, called: "redirect, global source", "INVALID gone error+1")
        x.expectRemark("invalid saddr or hoplimit for redirect")
        x.send(bare, from: .o, called: "redirect, no option", "INVALID gone error+1")
        x.expectRemark("redirect without options")
        x.send(empty, from: .o, called: "redirect, empty option", "INVALID gone error+1")
        x.expectRemark("redirect without options")
    }

    @Test("protocols.md §6: a short redirect, and redirects that go the normal way")
    func otherRedirects() {
        var x = Self.exchange()
        x.icmp(.o, type: 137, "INVALID gone error+1")
        x.expectRemark("short redirect")
        let option: [UInt8] = [2, 1, 0, 0, 0, 0, 0, 0]
        let coded = Self.redirect(from: "fe80::5", hopLimit: 64, code: 1, options: option)
        let other = Self.redirect(from: "fe80::5", hopLimit: 255, options: option)
        x.send(coded, from: .o, called: "redirect, code 1", "INVALID gone invalid+1")
        x.send(other, from: .o, called: "redirect, other option", "INVALID gone invalid+1")
    }

    @Test("protocols.md §6: a redirect about a packet of a flow is related to it")
    func relatedRedirect() {
        var x = Self.exchange()
        x.udp(.o, "NEW 30 U")
        let quoted = x.datagram(from: .o)
        let count = UInt8((8 + quoted.count + 7) / 8)
        var builder = PacketBuilder(
            .ipv6, from: Prefix.v6("fe80::5", length: 128).address, to: x.address(of: .o))
        builder.timeToLive = 255
        let option = [4, count, 0, 0, 0, 0, 0, 0] + quoted
        let padding = [UInt8](repeating: 0, count: Int(count) * 8 - option.count)
        let bytes = builder.icmp(
            type: 137, payload: [UInt8](repeating: 0, count: 32) + option + padding)
        // Tracked like any other error; a link-local source is not forwarded afterwards.
        x.send(
            bytes, from: .r, called: "redirect about O's datagram",
            "RELATED-reply 30 U ignored dropped:martian")
    }
}
