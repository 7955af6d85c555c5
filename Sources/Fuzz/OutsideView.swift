internal import Wire

/// What a machine's translation makes of the flows through it, as far as its rules tell: so that
/// answers find their way back.
struct OutsideView: Sendable {
    private let ruleset: String

    init(of node: FuzzNode) { ruleset = node.ruleset }

    func translates(_ family: Family) -> Bool {
        ruleset.contains(family == .ipv4 ? "table ip nat" : "table ip6 nat")
    }

    /// What a client's packets probably come from once they are outside.
    func source(_ client: Endpoint, _ dice: inout FuzzDice) -> Endpoint {
        guard client.family == .ipv4 else {
            let isRange = ruleset.contains("2001:db8::10-")
            return Endpoint(
                isRange ? "2001:db8::1\(dice.below(4))" : NodeMaker.wanAddress6, client.port)
        }
        let address =
            if ruleset.contains("203.0.113.77") {
                "203.0.113.77"
            } else if ruleset.contains("203.0.113.10-") {
                "203.0.113.1\(dice.below(4))"
            } else {
                NodeMaker.wanAddress
            }
        let port =
            if ruleset.contains(":2000-2001") {
                UInt16(2000 + dice.below(2))
            } else if ruleset.contains(":2000-2009") {
                UInt16(2000 + dice.below(10))
            } else {
                client.port
            }
        return Endpoint(address, port)
    }

    /// A service that visitors find under the machine's own address, and where it really is.
    func service(_ family: Family, _ dice: inout FuzzDice) -> (virtual: Endpoint, backend: Endpoint)
    {
        let isWeb = dice.oneIn(2)
        let port: UInt16 = isWeb ? 8080 : 5353
        guard family == .ipv4 else {
            return (
                Endpoint(NodeMaker.wanAddress6, port), Endpoint("fd00::3", isWeb ? 80 : port)
            )
        }
        return (Endpoint(NodeMaker.wanAddress, port), Endpoint("10.0.0.4", isWeb ? 80 : 53))
    }
}
