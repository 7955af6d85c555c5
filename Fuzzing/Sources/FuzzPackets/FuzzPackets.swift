import Conntrack
import FuzzTools
import Wire

// Any bytes as network packets: every protocol parser, reassembly, translation and writing back.
// An input is a list of packets, each behind two bytes of length and one of interface and time.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ base: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = unsafe FuzzInput(base, count)
    var node = FuzzGateway.make(seed: UInt64(input.byte()))
    var now = Instant.start
    while !input.isEmpty {
        let how = input.byte()
        let packet = input.take(Int(input.number16() & 0x7ff))
        now.nanoseconds += UInt64(how >> 2) * 500_000_000
        node.advance(to: now)
        let interface = how & 1 == 0 ? nil : InterfaceIndex(how >> 1 & 1)
        let delivery = node.receive(packet.span, on: interface, at: now)
        for transmission in delivery.out {
            hold(transmission.bytes.count <= 70_000, "a packet grew")
        }
    }
    FuzzGateway.check(&node, at: now)
    _ = node.list(at: now)
    FuzzGateway.check(&node, at: now)
    return 0
}
