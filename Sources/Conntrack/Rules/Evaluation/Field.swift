/// One thing a rule can read of a packet or of its connection.
enum Field: UInt8, Sendable, Hashable, BitwiseCopyable {
    case inInterface, outInterface
    case family, etherType, transportProtocol, packetMark, length
    case source, destination, timeToLive, dscp
    case sourcePort, destinationPort, tcpFlags, icmpType, icmpCode
    case state, direction
    /// The bit of `state`, and above it whether the connection is translated: iptables' ctstate.
    case stateAndTranslation
    case status, connectionMark, expiration
    case zone, zoneOriginal, zoneReply, labels, helper
    case packets, packetsOriginal, packetsReply
    case bytes, bytesOriginal, bytesReply
    case originalSource4, originalDestination4, replySource4, replyDestination4
    case originalSource6, originalDestination6, replySource6, replyDestination6
    case originalSourcePart, originalDestinationPart, replySourcePart, replyDestinationPart
    /// What the address is to the node's routing.
    case sourceType, destinationType

    /// Whether the field belongs to the tracker: a rule that reads it turns tracking on.
    var needsTracking: Bool { rawValue >= Field.state.rawValue && !isAddressType }

    /// Whether reading it takes the connection itself.
    ///
    /// State and direction are in the packet's `info`.
    var needsEntry: Bool { rawValue >= Field.stateAndTranslation.rawValue && !isAddressType }

    var isAddressType: Bool { rawValue >= Field.sourceType.rawValue }

    /// The protocol part of one of the connection's tuples.
    var isConnectionPort: Bool {
        rawValue >= Field.originalSourcePart.rawValue && !isAddressType
    }

    /// The transport header's bytes that must be there for the field to be read.
    var transportByteCount: UInt32 {
        switch self {
        case .sourcePort, .icmpCode: 2
        case .destinationPort: 4
        case .icmpType: 1
        case .tcpFlags: 14
        default: 0
        }
    }
}
