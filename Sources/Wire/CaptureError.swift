/// Why a capture cannot be read any further.
public struct CaptureError: Error, Sendable {
    public enum Kind: Sendable, Hashable {
        /// The stream is neither pcap nor pcapng.
        case notACapture
        /// The stream ends in the middle of a header, record or block.
        case truncated
        /// A field has a value that cannot be.
        case malformed
        /// A record, block or list is larger than its limit.
        case limit
        /// A format version or link type that is not read here.
        case unsupported
        /// The byte source failed.
        case source
    }

    public var kind: Kind
    /// Where the header, record or block in question starts, in bytes of the capture (uncompressed
    /// where it was compressed).
    public var offset: UInt64
    /// What was found and what was expected there.
    public var text: String
    /// The source's own error, for `source`.
    public var underlying: (any Error)?

    init(_ kind: Kind, at offset: UInt64, _ text: String, underlying: (any Error)? = nil) {
        self.kind = kind
        self.offset = offset
        self.text = text
        self.underlying = underlying
    }
}

extension CaptureError: CustomStringConvertible {
    public var description: String { "byte \(offset): \(text)" }
}

/// The sizes a capture may have; each error that meets one names it.
public struct CaptureLimits: Sendable, Hashable {
    /// Bytes of one pcap record or pcapng block.
    public var recordByteCount = 16 << 20
    /// Interfaces of one pcapng section.
    public var interfaces = 4096

    public init() {}
}
