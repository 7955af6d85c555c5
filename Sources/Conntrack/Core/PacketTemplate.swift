// What rules before the tracker's place may lay down for a packet: the kernel's template. It is
// attached to the packet like a connection, so that rules behind it find the packet "new" and a
// `notrack` comes too late; the tracker takes it away and uses what it says. Observed on 6.18.

/// The template attached to a packet, if there is one.
public struct PacketTemplate: Hashable, Sendable, BitwiseCopyable {
    /// What a lookup of the packet uses, and what a connection made for it gets.
    public internal(set) var zones = ZonePair.none
    /// A rule has attached one.
    public internal(set) var isAttached = false
    /// The helper of a connection made for it; 0 is none.
    private var helperNumber: UInt8 = 0
    /// The packet has passed the tracker: from there on nothing more is attached.
    var isPast = false

    /// Attaches a template with `zone` in the directions given, where none is attached yet.
    ///
    /// Returns whether it did: the first rule that sets a zone is the only one.
    mutating func attach(zone: UInt16, in direction: Direction?) -> Bool {
        guard !isAttached, !isPast else { return false }
        isAttached = true
        zones = ZonePair(
            original: direction == .reply ? 0 : zone, reply: direction == .original ? 0 : zone)
        return true
    }

    /// Attaches a whole template, as the `CT` target of iptables does, where none is attached yet.
    mutating func attach(_ definition: TemplateDefinition) -> Bool {
        guard !isAttached, !isPast else { return false }
        isAttached = true
        zones = definition.zones
        helperNumber = definition.helper?.rawValue ?? 0
        return true
    }

    /// The helper that a connection made for the packet gets.
    @inline(__always)
    var helper: HelperKind? { helperNumber == 0 ? nil : HelperKind(rawValue: helperNumber) }
}
