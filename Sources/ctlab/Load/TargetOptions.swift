import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Wire

/// Which host is loaded, and by what right.
struct TargetOptions: ParsableArguments {
    @Option(help: "HOST:PORT; ranges as ADDRESS/PREFIX:PORT-PORT; IPv6 addresses in brackets.")
    var target: String

    @Option(
        name: .customLong("i-may-load"),
        help: "A host or prefix that is yours to load; loopback and labs need no naming.")
    var iMayLoad: [String] = []

    @Option(help: "A list of hosts that are yours to load, one a line.")
    var allowFile: String?

    func validate() throws {
        for name in iMayLoad where !TargetGate.mayName(name) {
            throw ValidationError(
                "--i-may-load: found '\(name)', expected a host name, an address, or a prefix of "
                    + "at most 65536 addresses, such as 10.1.0.0/16")
        }
    }

    /// Whether this process is in a namespace made for the purpose.
    var isInLab: Bool { Lab.holdsThisProcess }

    /// The target, once the gate has let it through.
    func approved() throws -> (target: TargetPool, permit: LoadPermit) {
        let words: TargetText
        do {
            words = try TargetText(target)
        } catch {
            throw Failure(code: .usage, text: "\(error)")
        }
        let gate = try gate()
        do {
            let (range, addresses) = try words.resolve()
            if let range {
                let permit = try gate.permit(range)
                return (
                    TargetPool(
                        addresses: range, firstPort: words.firstPort, portCount: words.portCount),
                    permit
                )
            }
            let permit = try gate.permit(host: words.host, addresses: addresses)
            guard let first = addresses.first else {
                throw Failure(code: .usage, text: "target: '\(words.host)' has no address")
            }
            let (family, address) = AddressClass.unmapped(first.0, first.1)
            return (
                TargetPool(
                    addresses: AddressPool(family, first: address), firstPort: words.firstPort,
                    portCount: words.portCount),
                permit
            )
        } catch let error as TargetRefusal {
            throw Failure(code: .usage, text: error.description)
        } catch let error as NameError {
            throw Failure(code: .usage, text: "target \(error)")
        }
    }

    /// The addresses of `host`, once the gate has let them all through: what is only asked how it
    /// is gets packets, too.
    func approvedAddresses(of host: String) throws(Failure) -> [(Family, Address)] {
        let addresses: [(Family, Address)]
        do throws(NameError) {
            if let address = Address.parse(host) {
                addresses = [address]
            } else {
                addresses = try NameResolver.addresses(of: host)
            }
        } catch {
            throw Failure(code: .usage, text: "target \(error)")
        }
        let gate = try gate()
        do throws(TargetRefusal) {
            _ = try gate.permit(host: host, addresses: addresses)
        } catch {
            throw Failure(code: .usage, text: error.description)
        }
        return addresses.map { AddressClass.unmapped($0.0, $0.1) }
    }

    private func gate() throws(Failure) -> TargetGate {
        TargetGate(allowed: try readAllowFile(), named: iMayLoad, isInLab: isInLab)
    }

    private func readAllowFile() throws(Failure) -> AllowList {
        let path = allowFile ?? AllowList.defaultPath
        if allowFile == nil, !TextFile.exists(path) { return AllowList() }
        do {
            return try AllowList(text: try TextFile.read(path), path: path)
        } catch {
            throw Failure(code: .usage, text: "the allow file is refused\n\(error)")
        }
    }
}

/// Where the table is watched while a run lasts.
struct ObserveOptions: ParsableArguments {
    @Option(
        help: "Whose table is watched: \(Vantage.forms), or none. By default this namespace's.")
    var observe: String?

    /// The probe, if one is wanted; where none was asked for and none is to be had, there is none.
    ///
    /// It has looked once: what cannot be seen now is no reason to load anybody, and whoever has
    /// answered once has less than a second for every answer from then on.
    func probe() throws -> HostProbe? {
        if observe == "none" { return nil }
        guard let vantage = Vantage(observe ?? "local") else {
            throw Failure(
                code: .usage,
                text: "--observe: found '\(observe ?? "")', expected \(Vantage.forms), or none")
        }
        do throws(ProbeError) {
            var probe = try HostProbe.open(vantage)
            _ = try probe.sample()
            return probe
        } catch {
            guard observe != nil else { return nil }
            throw Self.failure(error, vantage)
        }
    }

    /// The table of this very namespace, where another one is watched: it may give in first.
    func ownProbe() -> HostProbe? {
        guard let observe, let vantage = Vantage(observe), vantage != .local else { return nil }
        if case .namespace(let name) = vantage {
            let watched = try? NetworkNamespace.number(ofNamed: name)
            guard watched != (try? NetworkNamespace.currentNumber()) else { return nil }
        }
        return try? HostProbe.open(.local)
    }

    /// The table a command lists, which removes its expired entries.
    ///
    /// - Parameter here: Whether it has to be one of this machine.
    func listingProbe(here: Bool) throws -> HostProbe {
        let isHere = observe.flatMap { Vantage($0) }?.isOnThisMachine ?? true
        if here, !isHere {
            throw Failure(
                code: .usage,
                text: "--observe: found '\(observe ?? "")', expected local or netns:NAME: entries "
                    + "are counted by state, which takes a table of this machine")
        }
        if isHere, observe != "none", !ProcessOwner.isRoot {
            throw Failure(
                code: .environment, text: "listing the table needs root; run with sudo")
        }
        if let probe = try probe() { return probe }
        throw Failure(
            code: .environment, text: "no table to watch; name one: --observe netns:NAME")
    }

    /// Whose table it is, for sentences.
    var place: String { observe ?? "this namespace" }

    /// Why the table that is watched cannot be looked at, and what to do.
    func failure(_ error: ProbeError) -> Failure {
        Self.failure(error, observe.flatMap { Vantage($0) } ?? .local)
    }

    static func failure(_ error: ProbeError, _ vantage: Vantage) -> Failure {
        if case .interrupted = error { return Failure(code: .interrupted, text: "\(error)") }
        guard case .call = error else { return Failure(code: .environment, text: "\(error)") }
        var remedy = "run with sudo"
        if error.isOutOfDescriptors {
            remedy = "raise the limit of descriptors: ulimit -n"
        } else if error.isPermissionMissing, ProcessOwner.isRoot {
            remedy =
                "this root lacks a capability: entering a namespace takes CAP_SYS_ADMIN, listing a "
                + "table CAP_NET_ADMIN; run where root has them"
        } else if error.isMissing {
            if case .namespace(let name) = vantage, !TextFile.exists("/run/netns/\(name)") {
                remedy = "there is no namespace '\(name)'; see: ip netns list"
            } else {
                remedy = "load the tracker first: modprobe nf_conntrack"
            }
        }
        return Failure(code: .environment, text: "\(error); \(remedy)")
    }
}
