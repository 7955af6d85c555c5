import Conntrack
import FuzzTools
import Wire

// Any text as a ruleset; what is accepted judges a few packets.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ base: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(base, count)
    guard let text = input.text else { return 0 }
    let ruleset: Ruleset
    do {
        ruleset = try Ruleset(nftables: text, file: "fuzz.nft", interfaces: ["lan", "wan"])
    } catch {
        hold(!error.findings.isEmpty, "refused without a finding")
        return 0
    }
    var node = FuzzGateway.make(seed: 2)
    node.replace(ruleset)
    let client = Address(ipv4: 0x0a00_0002)
    let server = Address(ipv4: 0xc633_6407)
    let out = PacketBuilder(.ipv4, from: client, to: server)
    let syn = out.tcp(from: 40000, to: 80, flags: [.syn], sequence: 1, acknowledgment: 0, window: 9)
    let question = out.udp(from: 5000, to: 53, payload: [1, 2, 3])
    for packet in [syn, syn, question, syn] {
        _ = node.receive(packet.span, on: InterfaceIndex(0), at: .start)
    }
    FuzzGateway.check(&node, at: .start)
    return 0
}
