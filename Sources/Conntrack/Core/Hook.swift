/// The five places of the packet path where rules are asked.
///
/// Raw values are the kernel's.
public enum Hook: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case prerouting = 0
    case input = 1
    case forward = 2
    case output = 3
    case postrouting = 4

    public var name: String {
        switch self {
        case .prerouting: "prerouting"
        case .input: "input"
        case .forward: "forward"
        case .output: "output"
        case .postrouting: "postrouting"
        }
    }
}

/// Hook priorities with a meaning of their own (spec policy.md §1).
public enum HookPriority {
    public static let defragmentation: Int32 = -400
    public static let raw: Int32 = -300
    public static let conntrack: Int32 = -200
    public static let mangle: Int32 = -150
    public static let destinationNAT: Int32 = -100
    public static let filter: Int32 = 0
    public static let security: Int32 = 50
    public static let sourceNAT: Int32 = 100
    public static let confirm: Int32 = Int32.max
}
