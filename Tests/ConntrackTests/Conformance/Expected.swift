@testable import Conntrack

/// What a packet should meet: any of the words of `Observation`, in any order.
///
/// What is not said is not checked, but for a drop, which has to be said.
struct Expected: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    let text: String
    private(set) var kind: String?
    private(set) var state: String?
    private(set) var flags: String?
    private(set) var scales: String?
    private(set) var tags: String?
    private(set) var packets: String?
    private(set) var effect: Observation.Effect?
    private(set) var refusal: String?
    private(set) var drop: String?

    init(stringLiteral text: String) { self.init(text) }

    init(_ text: String) {
        self.text = text
        var words = text.split(separator: " ").map(String.init)[...]
        while let word = words.popFirst() {
            switch word {
            case "NEW", "ESTABLISHED", "ESTABLISHED-reply", "RELATED", "RELATED-reply", "INVALID",
                "UNTRACKED", "NONE":
                kind = word
            case "gone": state = word
            case "flags": flags = words.popFirst()
            case "scales": scales = words.popFirst()
            case "tags": tags = words.popFirst()
            case "count": packets = words.popFirst()
            case "counted", "ignored": effect = Observation.Effect(rawValue: word)
            case let drop where drop.hasPrefix("dropped:"): self.drop = drop
            case let refusal where refusal.hasSuffix("+1"): self.refusal = refusal
            case let state where state.contains("/") || state.allSatisfy(\.isNumber):
                self.state = state
                if words.first == "U" || words.first == "A", let mark = words.popFirst() {
                    self.state = state + " " + mark
                }
            default: preconditionFailure("no such word in an expectation: '\(word)'")
            }
        }
    }
}

/// An event as the specification writes it: `UPDATE{SYN_RECV, SEEN_REPLY}`.
///
/// The braces hold the protocol state, if the message carries it, and the status bits that are new
/// since the connection's last message; for a DESTROY the state alone.
struct EventText: CustomStringConvertible {
    let description: String

    init(_ event: ConntrackEvent, after earlier: [ConntrackEvent]) {
        let previous = earlier.last { $0.entry.original == event.entry.original }
        var known: Status = []
        if let previous, previous.kind != .destroy { known = previous.entry.status }
        if event.kind == .destroy { known = event.entry.status }
        var words: [String] = []
        if event.hasProtocolPart, event.entry.protocolNumber == 6 {
            words.append(TCPState(rawValue: event.entry.protocolState)?.name ?? "?")
        }
        if event.hasProtocolPart, event.entry.protocolNumber == 132 {
            words.append(StateName.sctp(event.entry.protocolState))
        }
        let fresh = event.entry.status.subtracting(known)
        if fresh.contains(.seenReply) { words.append("SEEN_REPLY") }
        if fresh.contains(.assured) { words.append("ASSURED") }
        description = "\(event.kind.name){\(words.joined(separator: ", "))}"
    }
}
