import Testing
import Wire

@Suite("IPv6 extension header chain")
struct IPv6ChainTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var extensions: [IPv6ExtensionHeader]
        var transport: UInt8 = IPProtocol.udp
        /// What the walk ends at, and after how many bytes; `nil` where it finds nothing.
        var found: (UInt8, Int)?
        var testDescription: String { name }
    }

    static func fragment(offset: Int = 0, more: Bool = false) -> IPv6ExtensionHeader {
        .fragment(
            IPv6FragmentHeader(
                nextHeader: 0, offset: offset, moreFragments: more, identification: 7))
    }

    // Each row is what a 6.18 kernel tracked: by these ports, or as INVALID.
    static let rows = [
        Row(name: "none", extensions: [], found: (17, 40)),
        Row(name: "hop-by-hop", extensions: [.hopByHop()], found: (17, 48)),
        Row(name: "destination options", extensions: [.destinationOptions()], found: (17, 48)),
        Row(
            name: "destination options, then hop-by-hop",
            extensions: [.destinationOptions(), .hopByHop()], found: (17, 56)),
        Row(
            name: "destination options with an option that asks to drop",
            extensions: [.destinationOptions([0xde, 4, 0, 0, 0, 0])], found: (17, 48)),
        Row(name: "routing", extensions: [.routing(type: 0)], found: (17, 48)),
        Row(
            name: "routing with a segment left", extensions: [.routing(type: 0, segmentsLeft: 1)],
            found: (17, 48)),
        Row(
            name: "authentication",
            extensions: [.authentication(securityParameters: 1, sequence: 1, check: [0, 0, 0, 0])],
            found: (17, 56)),
        Row(
            name: "twenty headers",
            extensions: [IPv6ExtensionHeader](repeating: .destinationOptions(), count: 20),
            found: (17, 200)),
        Row(name: "whole fragment", extensions: [fragment()], found: (17, 48)),
        Row(name: "first fragment", extensions: [fragment(more: true)], found: (17, 48)),
        Row(name: "later fragment", extensions: [fragment(offset: 8)], found: (17, 48)),
        Row(
            name: "encrypted payload is a transport", extensions: [], transport: 50,
            found: (50, 40)),
        Row(name: "mobility is a transport", extensions: [], transport: 135, found: (135, 40)),
        Row(name: "no next header", extensions: [], transport: 59, found: nil),
        Row(
            name: "options, then no next header", extensions: [.destinationOptions()],
            transport: 59, found: nil),
        Row(
            name: "a header that claims more than is there",
            extensions: [.raw(number: 60, rest: [200, 1, 4, 0, 0, 0, 0])], transport: 200,
            found: (200, 48)),
        Row(
            name: "two bytes of a header", extensions: [.raw(number: 60, rest: [0])],
            transport: 200, found: (200, 42)),
        Row(
            name: "one byte of a header", extensions: [.raw(number: 60, rest: [])],
            transport: 200, found: nil),
        Row(
            name: "four bytes of a fragment header",
            extensions: [.raw(number: 44, rest: [0, 0, 0])], transport: 200, found: (200, 44)),
    ]

    @Test("The walk finds the transport", arguments: rows)
    func walk(_ row: Row) {
        var builder = IPHeaderTests.six
        builder.extensions = row.extensions
        // The last rows are about bytes that are not there, so they carry no payload.
        let isBare = row.transport == 200
        let packet = builder.packet(
            carrying: isBare ? [] : [0, 1, 0, 2, 0, 8, 0, 0], as: row.transport)
        let chain = IPv6Chain(walking: packet.span)
        #expect(chain.isUnskippable == (row.found == nil))
        if let (number, offset) = row.found {
            #expect(chain.protocolNumber == number)
            #expect(chain.transportOffset == offset)
        }
    }

    @Test("The fragment header is found with its position and the byte that names it")
    func fragmentHeader() throws {
        var builder = IPHeaderTests.six
        builder.extensions = [
            .hopByHop(),
            .fragment(
                IPv6FragmentHeader(
                    nextHeader: 0, offset: 1448, moreFragments: true, identification: 0xdead_beef)),
        ]
        let packet = builder.packet(carrying: [UInt8](repeating: 0, count: 16), as: 17)
        let fragment = try #require(IPv6Chain(walking: packet.span).fragment)
        #expect(fragment.nextHeader == 17)
        #expect(fragment.offset == 1448)
        #expect(fragment.moreFragments)
        #expect(!fragment.isAtomic)
        #expect(fragment.identification == 0xdead_beef)
        #expect(fragment.position == 48)
        #expect(fragment.namedAt == 40)
    }

    @Test("A later fragment ends the walk even where another header would follow")
    func laterFragmentEndsTheWalk() {
        var builder = IPHeaderTests.six
        builder.extensions = [Self.fragment(offset: 8), .destinationOptions()]
        let chain = IPv6Chain(walking: builder.udp(from: 1, to: 2).span)
        #expect(chain.protocolNumber == IPv6Extension.destinationOptions)
        #expect(chain.transportOffset == 48)
    }

    @Test("A packet shorter than its fixed header has no transport")
    func tooShort() {
        let packet = IPHeaderTests.six.udp(from: 1, to: 2)
        for count in 0..<40 {
            let chain = IPv6Chain(walking: packet.span.extracting(0..<count))
            #expect(chain.isUnskippable)
            #expect(chain.transportOffset <= count)
        }
    }
}
