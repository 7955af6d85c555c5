public import LinuxCalls

/// Looks at a host's table, wherever that is.
///
/// A namespace of this machine is read from its files. Another host is asked by `ssh`, or by what
/// its node_exporter says; it has less than a second to answer, so that no run waits for it.
public struct HostProbe: ~Copyable {
    private var files: NamespaceProbe?
    private var remote: (any RemoteHost)?

    /// Opens the place looked at.
    ///
    /// - Throws: `isMissing` where the kernel tracks nothing, or the namespace does not exist.
    public static func open(_ vantage: Vantage) throws(ProbeError) -> HostProbe {
        switch vantage {
        case .local:
            return HostProbe(try reading { () throws(SystemCallError) in try NamespaceProbe() })
        case .namespace(let name):
            return HostProbe(
                try reading { () throws(SystemCallError) in
                    let namespace = try NetworkNamespace(named: name)
                    return try namespace.enter { () throws(SystemCallError) in
                        try NamespaceProbe()
                    }
                })
        case .ssh(let host): return HostProbe(try ShellHost(host))
        case .metrics(let url): return HostProbe(try MetricsHost(url))
        }
    }

    private init(_ files: consuming NamespaceProbe) {
        self.files = .some(files)
        remote = nil
    }

    private init(_ remote: any RemoteHost) {
        files = nil
        self.remote = remote
    }

    /// Looks.
    ///
    /// - Parameter withStates: List the table as well, which removes its expired entries; only
    ///   where the files are at hand.
    /// - Throws: Why there is nothing to be seen this time; the next time may be better.
    public mutating func sample(withStates: Bool = false) throws(ProbeError) -> HostSample {
        if let remote { return try remote.sample() }
        do throws(SystemCallError) {
            if let sample = try files?.sample(withStates: withStates) { return sample }
        } catch {
            throw .call(error)
        }
        throw .remote("nothing is looked at")
    }

    /// Removes the expired entries of every namespace of the host by listing one's.
    public mutating func collect() throws(ProbeError) {
        if let remote { return try remote.collect() }
        do throws(SystemCallError) {
            try files?.collect()
        } catch {
            throw .call(error)
        }
    }

    /// Deletes every entry of a namespace of this machine; of another host, none.
    public mutating func flush() throws(ProbeError) {
        do throws(SystemCallError) {
            try files?.flush()
        } catch {
            throw .call(error)
        }
    }

    private static func reading(
        _ body: () throws(SystemCallError) -> NamespaceProbe
    ) throws(ProbeError) -> NamespaceProbe {
        do throws(SystemCallError) {
            return try body()
        } catch {
            throw .call(error)
        }
    }
}

/// A host looked at from afar.
protocol RemoteHost: AnyObject {
    func sample() throws(ProbeError) -> HostSample
    func collect() throws(ProbeError)
}

/// Why a host cannot be looked at.
public enum ProbeError: Error, Sendable, CustomStringConvertible {
    case call(SystemCallError)
    /// Of another host: what went wrong, and what to do.
    case remote(String)
    /// Somebody asked the command to stop while another host kept it waiting.
    case interrupted

    /// This process lacks a right that root has.
    public var isPermissionMissing: Bool {
        if case .call(let error) = self { error.isPermissionMissing } else { false }
    }

    public var isOutOfDescriptors: Bool {
        if case .call(let error) = self { error.isOutOfDescriptors } else { false }
    }

    /// There is no such namespace, or the kernel tracks nothing.
    public var isMissing: Bool {
        if case .call(let error) = self { error.isMissing } else { false }
    }

    public var description: String {
        switch self {
        case .call(let error): "\(error)"
        case .remote(let text): text
        case .interrupted: "interrupted while another host had not answered yet"
        }
    }
}
