public import Wire

// The one place that decides whether a host may be loaded. `LoadRun` and `Worker` take no target
// without a permit, and nobody else can make one.

/// What the gate let through: nothing else is loaded.
public struct LoadPermit: Sendable, Hashable {
    /// What it was given for.
    public let claim: LoadClaim
    private let family: Family
    private let first: Address
    private let last: Address

    fileprivate init(_ addresses: AddressPool, _ claim: LoadClaim) {
        self.claim = claim
        family = addresses.family
        first = addresses.first
        last = addresses.last
    }

    func covers(_ target: TargetPool) -> Bool {
        target.addresses.family == family && first <= target.addresses.first
            && target.addresses.last <= last
    }

    /// Checks that no workload of `plan` goes beyond it.
    public func check(_ plan: Plan) throws(TargetRefusal) {
        for workload in plan.workloads where !covers(workload.target) {
            throw TargetRefusal(
                description: "workload '\(workload.name)' goes beyond the target that is "
                    + "permitted; start it with ctlab load, which asks for its target")
        }
    }
}

/// Why a target is not loaded, and what to do.
public struct TargetRefusal: Error, Sendable, CustomStringConvertible {
    public var description: String
}

/// Decides whether a host may be loaded.
///
/// Loopback may. Private addresses may inside a namespace made for the purpose; elsewhere they
/// have to be listed in an allow file or named with `--i-may-load`. Public addresses need both,
/// wherever. What stands for no single host is never loaded. Every address of a name, or of a
/// range, has to pass.
public struct TargetGate: Sendable {
    public var allowed: AllowList
    /// What `--i-may-load` named.
    public var named: [String]
    /// Whether the process is in a namespace made for the purpose.
    public var isInLab: Bool

    public init(allowed: AllowList = AllowList(), named: [String] = [], isInLab: Bool = false) {
        self.allowed = allowed
        self.named = named
        self.isInLab = isInLab
    }

    /// Checks all `addresses` of `host`, and returns the permit for the first.
    ///
    /// - Throws: A sentence that says what to do.
    public func permit(
        host: String, addresses: [(Family, Address)]
    ) throws(TargetRefusal) -> LoadPermit {
        guard let (family, address) = addresses.first else {
            throw TargetRefusal(description: "target '\(host)' has no address; check the name")
        }
        for (family, address) in addresses {
            try check(host, family, address, isOneOfMany: addresses.count > 1)
        }
        let (plainFamily, plain) = AddressClass.unmapped(family, address)
        return LoadPermit(
            AddressPool(plainFamily, first: plain),
            claim(host, addresses.map { AddressPool($0.0, first: $0.1) }, isRange: false))
    }

    /// Checks a range of addresses: its ends, and that both are of one kind.
    ///
    /// A range has at most 65536 addresses, and is checked whole.
    public func permit(_ pool: AddressPool) throws(TargetRefusal) -> LoadPermit {
        guard pool.count <= 65_536 else {
            throw TargetRefusal(
                description: "found a target of \(pool.count) addresses, expected at most 65536")
        }
        for index in 0..<pool.count {
            let address = pool.address(index)
            do throws(TargetRefusal) {
                try check(address.text(pool.family), pool.family, address, isOneOfMany: false)
            } catch {
                throw refusal(of: pool, from: index, error)
            }
        }
        return LoadPermit(pool, claim(pool.first.text(pool.family), [pool], isRange: true))
    }

    /// The refusal of a range's first address that does not pass, with how far that goes.
    private func refusal(
        of pool: AddressPool, from start: Int, _ refusal: TargetRefusal
    ) -> TargetRefusal {
        guard pool.count > 1 else { return refusal }
        let refused = (start..<pool.count).filter { index in
            let address = pool.address(index)
            return !passes(address.text(pool.family), pool.family, address)
        }
        guard let last = refused.last else { return refusal }
        let ends =
            "\(pool.address(start).text(pool.family)) to \(pool.address(last).text(pool.family))"
        let isRun = refused.count == last - start + 1
        return TargetRefusal(
            description:
                "\(refused.count) of the target's \(pool.count) addresses are not covered, "
                + (isRun ? "\(ends): " : "among them \(ends): ") + refusal.description)
    }

    private func passes(_ host: String, _ family: Family, _ address: Address) -> Bool {
        (try? check(host, family, address, isOneOfMany: false)) != nil
    }

    private func claim(_ host: String, _ pools: [AddressPool], isRange: Bool) -> LoadClaim {
        LoadClaim(
            host: host, pools: pools, isRange: isRange, named: named, allowFile: allowed.path)
    }

    /// Whether `name` is one `--i-may-load` takes: a host's name, an address, or a prefix of as
    /// many addresses as a target may have.
    public static func mayName(_ name: String) -> Bool {
        prefix(ofName: name) != nil || AllowList.isName(name)
    }

    private static func prefix(
        ofName name: String
    ) -> (family: Family, address: Address, length: Int)? {
        guard let prefix = AllowList.prefix(name), prefix.family.addressBits - prefix.length <= 16
        else { return nil }
        return prefix
    }

    /// Whether an address or a prefix that was named holds this address.
    private static func covers(_ name: String, _ family: Family, _ address: Address) -> Bool {
        guard let (otherFamily, other, length) = prefix(ofName: name) else { return false }
        let mask = Address.mask(prefix: length, otherFamily)
        return otherFamily == family && address.masked(by: mask) == other.masked(by: mask)
    }

    private func check(
        _ host: String, _ family: Family, _ address: Address, isOneOfMany: Bool
    ) throws(TargetRefusal) {
        let (family, address) = AddressClass.unmapped(family, address)
        let text = address.text(family)
        let isNamed = named.contains { name in
            if name.lowercased() == host.lowercased() { return true }
            return Self.covers(name, family, address)
        }
        let isListed = allowed.lists(host, family, address)
        let what =
            host == text
            ? "target \(text)"
            : isOneOfMany
                ? "target '\(host)' has several addresses, and one of them, \(text),"
                : "target '\(host)' (\(text))"
        switch AddressClass(family, address) {
        case .loopback: return
        case .privateUse:
            if isInLab || isListed || isNamed { return }
            throw TargetRefusal(
                description: "\(what) is not this machine itself; if it is yours to load, name it "
                    + "with --i-may-load \(host) or list it in \(AllowList.defaultPath); to try "
                    + "without another host: ctlab lab up")
        case .publicUse:
            if isListed, isNamed { return }
            let missing =
                isListed
                ? "name it with --i-may-load \(host) as well"
                : isNamed
                    ? "list it in \(AllowList.defaultPath) (or --allow-file) as well"
                    : "list it in \(AllowList.defaultPath) (or --allow-file), and name it with "
                        + "--i-may-load \(host)"
            throw TargetRefusal(
                description: "\(what) is a public address; if it is yours to load, \(missing)")
        case .never:
            throw TargetRefusal(
                description: "\(what) stands for no single host; name the host's own address")
        }
    }
}
