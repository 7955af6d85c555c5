internal import Wire

/// What an address is to a node's routing: `fib daddr type`, `-m addrtype`.
///
/// Raw values are the kernel's route types.
enum AddressType: UInt8, Sendable, Hashable, BitwiseCopyable {
    case unicast = 1
    case local = 2
    case broadcast = 3
    case anycast = 4
    case multicast = 5
}

/// The addresses of a node that are not just anybody's.
struct AddressTypes: Sendable {
    /// In ascending order.
    private var own: [Address] = []
    private var own6: [Address] = []
    private var broadcasts: [Address] = []
    /// Of the routers of each IPv6 subnet, and `::`.
    private var anycasts6: [Address] = [.zero]

    init() {}

    init(_ interfaces: [Interface]) {
        let prefixes = interfaces.flatMap(\.addresses)
        own = prefixes.filter { $0.family == .ipv4 }.map(\.address).sorted()
        own6 = prefixes.filter { $0.family == .ipv6 }.map(\.address).sorted()
        broadcasts = prefixes.filter { $0.family == .ipv4 && $0.length < 31 }.map { prefix in
            let mask = Address.mask(prefix: prefix.length, .ipv4)
            return Address(ipv4: prefix.address.ipv4 | ~mask.ipv4)
        }.sorted()
        let subnets6 = prefixes.filter { $0.family == .ipv6 && $0.length < 127 }
        anycasts6 += subnets6.map { $0.address.masked(by: .mask(prefix: $0.length, .ipv6)) }
        anycasts6.sort()
    }

    func type(of address: Address, _ family: Family) -> AddressType {
        guard family == .ipv4 else {
            if address.high >> 56 == 0xff { return .multicast }
            let isLoopback = address == Address(high: 0, low: 1)
            if isLoopback || Self.holds(own6, address) { return .local }
            return Self.holds(anycasts6, address) ? .anycast : .unicast
        }
        let number = address.ipv4
        if number >> 24 == 127 || Self.holds(own, address) { return .local }
        if number >> 28 == 0xe { return .multicast }
        // 0.0.0.0 counts as broadcast, as the limited broadcast does; the rest of its /8 does not.
        if number == 0 || number == .max || Self.holds(broadcasts, address) {
            return .broadcast
        }
        return .unicast
    }

    private static func holds(_ addresses: [Address], _ wanted: Address) -> Bool {
        var (low, high) = (0, addresses.count)
        while low < high {
            let middle = (low + high) / 2
            if addresses[middle] == wanted { return true }
            if addresses[middle] < wanted { low = middle + 1 } else { high = middle }
        }
        return false
    }
}
