internal import LinuxCalls
internal import Wire

/// Whom a run wants to load and by what right: all that the gate goes by, as plain values.
///
/// It passes from process to process, and each asks the gate for itself. The allow file is read
/// anew each time, and whether this is a lab is looked up: neither is taken on trust.
public struct LoadClaim: Sendable, Codable, Hashable {
    /// As it was written.
    var host: String
    /// Where the host's name leads; of a range, the range.
    var pools: [AddressPool]
    var isRange: Bool
    /// What `--i-may-load` named.
    var named: [String]
    /// `nil` where no list was there.
    var allowFile: String?

    /// What the gate says about it.
    public func decide() throws(TargetRefusal) -> LoadPermit {
        var allowed = AllowList()
        if let allowFile {
            do {
                allowed = try AllowList(text: try TextFile.read(allowFile), path: allowFile)
            } catch {
                throw TargetRefusal(description: "the allow file is refused\n\(error)")
            }
        }
        let gate = TargetGate(allowed: allowed, named: named, isInLab: Lab.holdsThisProcess)
        if isRange, let pool = pools.first { return try gate.permit(pool) }
        return try gate.permit(host: host, addresses: pools.map { ($0.family, $0.first) })
    }
}
