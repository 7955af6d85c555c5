internal import Conntrack
public import LiveKernel
public import Scenario
internal import Wire

extension LiveNode {
    /// The machine a node file describes, as text for the system's own tools.
    public init(_ file: NodeFile) {
        self.init(
            interfaces: file.configuration.interfaces.map { interface in
                LiveNode.Interface(
                    name: interface.name, addresses: interface.addresses.map(Self.text),
                    routes: interface.routes.map(Self.text), mtu: interface.mtu,
                    isDefault: interface.isDefault)
            },
            sysctls: file.sysctls.map { LiveNode.Setting($0.name, $0.value) },
            ruleset: file.rulesetText ?? "",
            tracking: file.configuration.tracking == .always ? .always : .auto)
    }

    private static func text(_ prefix: Prefix) -> String {
        "\(prefix.address.text(prefix.family))/\(prefix.length)"
    }
}
