/// Where a host is looked at.
public enum Vantage: Sendable, Hashable {
    /// The network namespace this process is in.
    case local
    /// The one `ip netns` knows by this name.
    case namespace(String)
    /// Another host, by the system's `ssh`: `HOST`, `USER@HOST` or a name of `~/.ssh/config`.
    case ssh(String)
    /// What a node_exporter, or `ctlab observe --format openmetrics` behind one, says of its host.
    case metrics(url: String)

    /// Whether the table is one of this machine.
    public var isOnThisMachine: Bool {
        switch self {
        case .local, .namespace: true
        case .ssh, .metrics: false
        }
    }

    /// How places are written, for messages.
    public static let forms = "local, netns:NAME, ssh:HOST or http://HOST:9100/metrics"

    /// Reads `local`, `netns:NAME`, `ssh:HOST` or a URL.
    public init?(_ text: String) {
        let rest = text.split(separator: ":", maxSplits: 1).dropFirst().first.map(String.init)
        switch (text.prefix { $0 != ":" }, rest) {
        case ("local", nil): self = .local
        case ("netns", let name?) where !name.contains("/"): self = .namespace(name)
        // A host that begins with a dash would be an option.
        case ("ssh", let host?) where !host.hasPrefix("-") && !host.contains(where: \.isWhitespace):
            self = .ssh(host)
        case ("http", let rest?) where rest.hasPrefix("//") && rest.count > 2,
            ("https", let rest?) where rest.hasPrefix("//") && rest.count > 2:
            self = .metrics(url: text)
        default: return nil
        }
    }
}
