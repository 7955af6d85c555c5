/// What a packet is to its connection: the kernel's `enum ip_conntrack_info`.
///
/// `none` stands for a packet that has not been tracked (yet, or at all): tracking is off, or the
/// packet never got that far. `invalid` is a packet the tracker looked at and left without entry.
public enum ConntrackInfo: UInt8, Sendable, Hashable, BitwiseCopyable {
    case established = 0
    case related = 1
    case new = 2
    case establishedReply = 3
    case relatedReply = 4
    case untracked = 7
    case invalid = 8
    case none = 9

    /// Whether the packet travels against the connection's original direction.
    public var direction: Direction? {
        switch self {
        case .established, .related, .new: .original
        case .establishedReply, .relatedReply: .reply
        case .untracked, .invalid, .none: nil
        }
    }

    /// The word a ruleset uses for it: `ct state`.
    public var state: ConntrackState {
        switch self {
        case .established, .establishedReply: .established
        case .related, .relatedReply: .related
        case .new: .new
        case .untracked: .untracked
        case .invalid: .invalid
        case .none: .none
        }
    }
}

/// The `ct state` of a packet, named as rulesets name it.
public enum ConntrackState: String, Sendable, Hashable {
    case new, established, related, invalid, untracked, none
}
