/// What changes of the payload did to the sequence numbers of one direction.
///
/// The last change and the sum of those before it are remembered, as in the kernel: a retransmission
/// from before the change before last gets a number that is off.
///
/// Kernel: `struct nf_ct_seqadj`.
struct SequenceShift: Hashable, BitwiseCopyable {
    /// Where the last change happened, in the sender's own numbers.
    private var position: UInt32 = 0
    /// Bytes added up to there, and behind it; modulo 2^32.
    private var before: UInt32 = 0
    private var after: UInt32 = 0

    var isNone: Bool { before == 0 && after == 0 }

    /// Notes that a segment at `sequence` grew by `count` bytes, or shrank.
    ///
    /// The same segment again, or an earlier one, changes nothing.
    mutating func note(_ count: Int, at sequence: UInt32) {
        guard before == after || position.precedes(sequence) else { return }
        position = sequence
        before = after
        after &+= UInt32(truncatingIfNeeded: count)
    }

    /// What is to be added to a sequence number of the sender.
    func offset(at sequence: UInt32) -> UInt32 { position.precedes(sequence) ? after : before }

    /// The sender's own number for one that the receiver acknowledges.
    func original(of acknowledged: UInt32) -> UInt32 {
        acknowledged &- offset(at: acknowledged &- before)
    }
}
