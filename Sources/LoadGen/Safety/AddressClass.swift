public import Wire

/// How far an address reaches, which decides what it takes to load it.
public enum AddressClass: Sendable, Hashable {
    /// This machine itself.
    case loopback
    /// Somebody's own network: private, link-local, shared or benchmarking space.
    case privateUse
    /// Anybody's; also whatever may lead there through a translator.
    case publicUse
    /// No single host: unspecified, multicast, broadcast, reserved.
    case never

    public init(_ family: Family, _ address: Address) {
        self = family == .ipv4 ? Self.ipv4(address.ipv4) : Self.ipv6(address)
    }

    private static func ipv4(_ value: UInt32) -> AddressClass {
        switch (value >> 24, value >> 16 & 0xFF) {
        case (0, _), (224..., _): .never
        case (127, _): .loopback
        case (10, _), (172, 16..<32), (192, 168), (169, 254), (100, 64..<128), (198, 18..<20):
            .privateUse
        default: .publicUse
        }
    }

    private static func ipv6(_ address: Address) -> AddressClass {
        let (first, second, third, fourth) = address.words
        if first == 0, second == 0, third == 0xFFFF { return ipv4(fourth) }
        if first == 0, second == 0, third == 0 {
            return fourth == 1 ? .loopback : .never  // ::, and what once meant IPv4
        }
        switch first >> 24 {
        case 0xFF: return .never
        case 0xFC, 0xFD: return .privateUse
        case 0xFE where first >> 22 == 0x3FA: return .privateUse
        default: return .publicUse
        }
    }

    /// The IPv4 address inside an IPv4-mapped IPv6 one, which is what connections to it use.
    public static func unmapped(_ family: Family, _ address: Address) -> (Family, Address) {
        guard family == .ipv6, address.high == 0, address.low >> 32 == 0xFFFF else {
            return (family, address)
        }
        return (.ipv4, Address(ipv4: address.ipv4))
    }
}
