internal import Wire

// `ct timeout` and `ct helper` objects: what a ruleset names, and its rules hand to connections.

/// A `ct timeout` object.
struct TimeoutDefinition: Sendable, Hashable {
    /// One timeout of a policy.
    enum Name: Sendable, Hashable {
        case tcp(TCPState)
        case tcpRetransmitted, tcpUnacknowledged
        case udpUnreplied, udpReplied
    }

    struct Setting: Sendable, Hashable {
        var name: Name
        var seconds: UInt32
    }

    var protocolNumber: UInt8
    var settings: [Setting] = []

    /// nft's words for the timeouts of a protocol.
    static func names(_ protocolNumber: UInt8) -> [(word: String, name: Name)] {
        guard protocolNumber == IPProtocol.tcp else {
            return [("unreplied", .udpUnreplied), ("replied", .udpReplied)]
        }
        return [
            ("syn_sent", .tcp(.synSent)), ("syn_recv", .tcp(.synReceived)),
            ("established", .tcp(.established)), ("fin_wait", .tcp(.finWait)),
            ("close_wait", .tcp(.closeWait)), ("last_ack", .tcp(.lastAck)),
            ("time_wait", .tcp(.timeWait)), ("close", .tcp(.close)),
            ("syn_sent2", .tcp(.synSent2)), ("retrans", .tcpRetransmitted),
            ("unack", .tcpUnacknowledged),
        ]
    }
}

/// A `ct helper` object.
struct HelperDefinition: Sendable, Hashable, BitwiseCopyable {
    var helper: HelperKind
    var protocolNumber: UInt8
    /// The one network protocol whose connections get it; `nil` for both.
    var family: Family?
}

/// What the `CT` target of iptables attaches to a packet before the tracker sees it.
struct TemplateDefinition: Sendable, Hashable, BitwiseCopyable {
    var zones = ZonePair.none
    var helper: HelperKind?
}

/// The helpers there are.
public enum HelperKind: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case ftp = 1

    /// As rules and listings call it.
    public var name: String {
        switch self {
        case .ftp: "ftp"
        }
    }

    /// The protocol it reads.
    var protocolNumber: UInt8 {
        switch self {
        case .ftp: IPProtocol.tcp
        }
    }
}
