internal import Conntrack
internal import LinuxCalls
internal import Wire

// What a prediction has to know of the machine it is about: read from the machine itself, never
// assumed. What cannot be read is said.

/// A kernel's settings as they stand, by their full names.
public struct TargetSettings: Sendable, Codable, Hashable {
    /// A setting and its value, as the file holds it.
    public struct Setting: Sendable, Codable, Hashable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Settings of sockets that decide what a client sends, and when.
    public static let socketNames = [
        "net.ipv4.tcp_syn_retries", "net.ipv4.tcp_syn_linear_timeouts",
        "net.ipv4.tcp_synack_retries", "net.ipv4.tcp_retries2", "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_tw_reuse", "net.ipv4.ip_local_port_range",
    ]

    /// All of the tracker's that the model has.
    public static let trackerNames = Sysctl.names.map { "net.netfilter.nf_conntrack_\($0)" }

    /// Of the tracker: limits, buckets, timeouts, and how strict it is.
    public var tracker: [Setting]
    /// Of sockets.
    public var sockets: [Setting]
    /// The kernel's `HZ`; `nil` where its configuration is not to be read.
    public var hertz: UInt32?
    /// `6.18.44`; empty where it is not to be read.
    public var release: String

    public init(
        tracker: [Setting] = [], sockets: [Setting] = [], hertz: UInt32? = nil,
        release: String = ""
    ) {
        self.tracker = tracker
        self.sockets = sockets
        self.hertz = hertz
        self.release = release
    }

    /// Reads what holds at `vantage`.
    ///
    /// - Throws: `isMissing` where the namespace does not exist; of an exporter, that it shows
    ///   counts and no settings.
    public static func read(_ vantage: Vantage) throws(ProbeError) -> TargetSettings {
        switch vantage {
        case .local: return read()
        case .namespace(let name):
            do throws(SystemCallError) {
                let namespace = try NetworkNamespace(named: name)
                return namespace.enter { read() }
            } catch {
                throw .call(error)
            }
        case .ssh(let host): return TargetSettings(listing: try ShellSettings.read(host))
        case .metrics(let url):
            throw .remote(
                "\(url) shows a table's count and maximum, and no timeouts; compare needs "
                    + "--observe ssh:HOST, or a namespace of this machine")
        }
    }

    /// Reads `NAME=VALUE` lines: settings by their full names, `hertz` and `release`.
    public init(listing: String) {
        self.init()
        for line in listing.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let name = String(parts[0])
            let value = parts[1].split { $0 == "\t" || $0 == " " }.joined(separator: " ")
            if name == "hertz" {
                hertz = UInt32(value)
            } else if name == "release" {
                release = value
            } else if Self.trackerNames.contains(name) {
                tracker.append(Setting(name, value))
            } else if Self.socketNames.contains(name) {
                sockets.append(Setting(name, value))
            }
        }
    }

    /// Reads what holds where the calling thread is.
    public static func read() -> TargetSettings {
        let release = (try? SysctlFile.read("kernel.osrelease")) ?? ""
        return TargetSettings(
            tracker: read(trackerNames),
            sockets: read(socketNames), hertz: hertz(release), release: release)
    }

    /// Those of `names` this kernel has.
    private static func read(_ names: [String]) -> [Setting] {
        names.compactMap { name in
            guard let value = try? SysctlFile.read(name) else { return nil }
            return Setting(name, value.split { $0 == "\t" || $0 == " " }.joined(separator: " "))
        }
    }

    /// The value of a setting, if it was read.
    public func value(of name: String) -> String? {
        (tracker + sockets).first { $0.name == name }?.value
    }

    // MARK: HZ

    private static func hertz(_ release: String) -> UInt32? {
        for path in ["/proc/config.gz", "/boot/config-\(release)"] {
            guard let text = configuration(path) else { continue }
            if let hertz = hertz(inConfiguration: text) { return hertz }
        }
        return nil
    }

    private static func configuration(_ path: String) -> String? {
        guard TextFile.exists(path), let file = try? InputFile(opening: path) else { return nil }
        var whole: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while whole.count < 4 << 20 {
            var span = buffer.mutableSpan
            guard let count = try? file.read(into: &span, at: 0) else { return nil }
            if count == 0 { return String(decoding: whole, as: UTF8.self) }
            whole.append(contentsOf: buffer[..<count])
        }
        return nil
    }

    /// `CONFIG_HZ` of a kernel configuration's text.
    public static func hertz(inConfiguration text: String) -> UInt32? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("CONFIG_HZ=") }
        return line.flatMap { UInt32($0.dropFirst("CONFIG_HZ=".count)) }
    }
}
