public import LinuxCalls
public import Wire

/// A load without a file: what `--quick` names, to be changed by options.
public enum QuickProfile: String, Sendable, CaseIterable {
    /// Connections made and closed, as many a second as asked for.
    case churn
    /// Connections made and held.
    case hold
    /// Connections with a request and an answer each.
    case request
    /// Datagrams, each a new flow, from one socket.
    case fanout
    /// Lookups of names: A and AAAA from one socket, and the wait for both answers.
    case resolver

    /// What shapes it besides where it goes, how long it lasts, its rate, patience and seed: options
    /// of `ctlab load` without their dashes.
    public var traits: Set<String> {
        switch self {
        case .churn, .request: ["arrivals", "ending", "hold", "exchange", "background"]
        case .hold: ["flows", "ending", "hold", "exchange"]
        case .fanout:
            ["arrivals", "source-ports", "answers", "datagrams", "reuse", "background"]
        case .resolver: ["arrivals", "background"]
        }
    }

    /// The workload, as it is without options.
    public func workload(_ target: TargetPool) -> LoadWorkload {
        let seconds = 10.0
        func open(_ rate: Double, _ spacing: Arrivals.Spacing) -> LoadModel {
            .open(
                Arrivals(
                    stages: [Arrivals.Stage(seconds: seconds, from: rate, to: rate)],
                    spacing: spacing))
        }
        switch self {
        case .churn:
            return LoadWorkload(
                name: rawValue, transport: .tcp, model: open(1000, .poisson), target: target)
        case .hold:
            var workload = LoadWorkload(
                name: rawValue, transport: .tcp,
                model: .held(count: 1000, startsPerSecond: 2000), target: target)
            workload.hold = .forever
            return workload
        case .request:
            var workload = LoadWorkload(
                name: rawValue, transport: .tcp, model: open(500, .poisson), target: target)
            workload.requestByteCount = 200
            workload.responseByteCount = 10_000
            return workload
        case .fanout:
            return LoadWorkload(
                name: rawValue, transport: .udp, model: open(10_000, .uniform), target: target)
        case .resolver:
            var workload = LoadWorkload(
                name: rawValue, transport: .udp, model: open(100, .poisson), target: target)
            workload.lookup = Lookup()
            return workload
        }
    }

    /// What holds `count` connections to `target` while a profile runs on top of them.
    public static func background(_ count: Int, _ target: TargetPool) -> LoadWorkload {
        var workload = LoadWorkload(
            name: "background", transport: .tcp,
            model: .held(count: count, startsPerSecond: backgroundStartsPerSecond), target: target)
        workload.hold = .forever
        // Ended together, they leave no entry and no port taken for long.
        workload.ending = .reset
        return workload
    }

    /// Connections of a background made a second.
    private static let backgroundStartsPerSecond = 5000.0

    /// Seconds until a background of `count` connections should stand.
    public static func secondsToStand(_ count: Int) -> Double {
        (Double(count) / backgroundStartsPerSecond).rounded(.up) + 1
    }
}

/// A target as it is written: `HOST:PORT`, `[ADDRESS]:PORT`, `ADDRESS/PREFIX:PORT-PORT`.
public struct TargetText: Sendable, Hashable {
    /// A name, or an address.
    public var host: String
    /// Of a range of addresses, its prefix length.
    public var prefixLength: Int?
    public var firstPort: UInt16
    public var portCount: Int

    /// Reads one.
    ///
    /// - Throws: What is wrong with it, and what it should be.
    public init(_ text: String) throws(TargetTextError) {
        guard let colon = text.lastIndex(of: ":") else {
            throw TargetTextError(text: text, expected: "HOST:PORT")
        }
        var host = String(text[..<colon])
        let bounds = text[text.index(after: colon)...].split(
            separator: "-", omittingEmptySubsequences: false
        ).map { UInt16($0) ?? 0 }
        guard (1...2).contains(bounds.count), let first = bounds.first, let last = bounds.last,
            first > 0, last >= first
        else {
            throw TargetTextError(text: text, expected: "a port from 1 to 65535, or FIRST-LAST")
        }
        if let slash = host.lastIndex(of: "/") {
            guard let length = Int(host[host.index(after: slash)...]), length >= 0 else {
                throw TargetTextError(text: text, expected: "a prefix length behind '/'")
            }
            prefixLength = length
            host = String(host[..<slash])
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw TargetTextError(text: text, expected: "an IPv6 address in brackets: [::1]:80")
        }
        guard !host.isEmpty else { throw TargetTextError(text: text, expected: "HOST:PORT") }
        self.host = host
        firstPort = first
        portCount = Int(last - first) + 1
    }

    /// The addresses it stands for: those of its range, or those its name leads to.
    public func resolve() throws(NameError) -> (pool: AddressPool?, all: [(Family, Address)]) {
        guard let prefixLength else {
            if let (family, address) = Address.parse(host) { return (nil, [(family, address)]) }
            return (nil, try NameResolver.addresses(of: host))
        }
        guard let pool = AddressPool.prefix("\(host)/\(prefixLength)") else {
            throw NameError(
                name: "\(host)/\(prefixLength)",
                reason: "expected an address and a prefix that stand for at most 65536 addresses")
        }
        return (pool, [])
    }
}

extension AddressPool {
    /// Reads `198.18.0.0/24`, or a single address; at most 65536 addresses.
    ///
    /// Of an IPv4 network with more than two, the first and the last address are no hosts and left out.
    public static func prefix(_ text: String) -> AddressPool? {
        if let (family, address) = Address.parse(text) {
            return AddressPool(family, first: address)
        }
        guard let (family, address, length) = Address.parsePrefix(text) else { return nil }
        let bits = family.addressBits - length
        guard (0...16).contains(bits) else { return nil }
        let start = address.masked(by: Address.mask(prefix: length, family))
        let whole = AddressPool(family, first: start, count: 1 << bits)
        guard family == .ipv4, bits > 1 else { return whole }
        return AddressPool(family, first: whole.address(1), count: whole.count - 2)
    }
}

/// A target that cannot be read.
public struct TargetTextError: Error, Sendable, CustomStringConvertible {
    var text: String
    var expected: String

    public var description: String { "target: found '\(text)', expected \(expected)" }
}
