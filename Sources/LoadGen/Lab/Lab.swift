internal import LinuxCalls

/// The proving ground: three namespaces, client, gateway and server, joined by veth.
public enum Lab {
    /// Their names, as `ip netns` shows them.
    public static let client = "ctlab-client"
    public static let gateway = "ctlab-gw"
    public static let server = "ctlab-server"
    static let namespaces = [client, gateway, server]

    /// Whether the calling thread is in one of a lab's namespaces.
    public static var holdsThisProcess: Bool {
        guard let here = try? NetworkNamespace.currentNumber() else { return false }
        return namespaces.contains { (try? NetworkNamespace.number(ofNamed: $0)) == here }
    }
}
