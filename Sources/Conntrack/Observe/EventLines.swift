// `conntrack -E`: spec formats.md §3.

extension Listing {
    /// A line of `conntrack -E`.
    public func eventLine(_ event: ConntrackEvent) -> String {
        let body = line(
            event.entry, .event(event.kind, hasProtocolPart: event.hasProtocolPart), at: event.at)
        let time = options.contains(.timestamp) ? "[\(base.unixTimeText(event.at))]\t" : ""
        return time + event.kind.tag + " " + body
    }

    /// A `<flow>` of `conntrack -E -o xml`.
    public func eventXMLLine(_ event: ConntrackEvent) -> String {
        xmlLine(
            event.entry, .event(event.kind, hasProtocolPart: event.hasProtocolPart), at: event.at)
    }

    /// A line of `conntrack -E -o save`: the line of the listing, whatever the event.
    ///
    /// A DESTROY has no verification tags.
    public func eventSaveLine(_ event: ConntrackEvent) -> String {
        saveLine(event.entry, hasTags: event.kind != .destroy && event.hasProtocolPart)
    }
}

extension EventKind {
    /// Right-aligned in nine columns.
    fileprivate var tag: String {
        switch self {
        case .new: "    [NEW]"
        case .update: " [UPDATE]"
        case .destroy: "[DESTROY]"
        }
    }
}
