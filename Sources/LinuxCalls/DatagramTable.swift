internal import CLinuxShims
internal import Glibc
internal import Wire

/// UDP sockets, numbered from 0, that send and receive in batches of one system call each.
@safe public struct DatagramTable: ~Copyable {
    /// Datagrams in one batch at most.
    public static let batchCount = Int(CTLAB_BATCH_MAX)
    /// Bytes of one datagram at most.
    public static let datagramByteCount = Int(CTLAB_BATCH_BYTES)

    private var descriptors: [Int32] = []
    // The kernel keeps addresses inside it, which therefore stays in one place.
    private let batch: OpaquePointer

    public init() {
        guard let made = unsafe ctlab_batch_make() else {
            preconditionFailure("no memory for a batch of datagrams")
        }
        unsafe batch = made
    }

    deinit {
        for descriptor in descriptors { _ = Glibc.close(descriptor) }
        unsafe ctlab_batch_free(batch)
    }

    public var count: Int { descriptors.count }

    /// Makes a socket bound to `address`; port 0 is the system's choice.
    ///
    /// - Parameter shared: Whether other processes may be bound to the same address.
    public mutating func bind(
        _ address: SocketAddress, shared: Bool = false
    ) throws(SocketFailure) {
        let raw = try socketCall(.socket) {
            ctlab_datagram_socket(Int32(address.family.rawValue))
        }
        do throws(SocketFailure) {
            let (level, option) =
                address.family == .ipv4
                ? (Int32(IPPROTO_IP), IP_PKTINFO) : (Int32(IPPROTO_IPV6), IPV6_RECVPKTINFO)
            _ = try socketCall(.option) { ctlab_set_option(raw, level, option, 1) }
            if address.family == .ipv6 {
                _ = try socketCall(.option) { ctlab_set_option(raw, level, IPV6_V6ONLY, 1) }
            }
            if shared {
                _ = try socketCall(.option) { ctlab_set_option(raw, SOL_SOCKET, SO_REUSEPORT, 1) }
            }
            // Beyond the system's limit where this process may; as it was where not.
            _ = ctlab_set_option(raw, SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
            _ = ctlab_set_option(raw, SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
            var name = address.endpoint
            _ = try socketCall(.bind) { unsafe ctlab_bind(raw, &name) }
        } catch {
            _ = Glibc.close(raw)
            throw error
        }
        descriptors.append(raw)
    }

    func descriptor(_ socket: Int) -> Int32 { descriptors[socket] }

    /// Datagrams waiting to be sent.
    public var pendingCount: Int { Int(unsafe ctlab_batch_count(batch)) }

    /// Adds a datagram to the batch; it must have room, and the bytes must fit.
    public mutating func add(_ bytes: Span<UInt8>, to peer: SocketAddress) {
        precondition(pendingCount < Self.batchCount, "the batch is full: send it first")
        precondition(bytes.count <= Self.datagramByteCount, "found \(bytes.count) bytes to send")
        var name = peer.endpoint
        unsafe bytes.withUnsafeBytes {
            unsafe ctlab_batch_add(batch, &name, $0.baseAddress, $0.count)
        }
    }

    /// Sends the batch by `socket`, and empties it.
    ///
    /// - Parameter failed: Told of each datagram that was not sent, by its place in the batch.
    /// - Returns: How many were sent.
    public mutating func flush(by socket: Int, _ failed: (Int, SocketFailure) -> Void) -> Int {
        flush(through: descriptors[socket], failed)
    }

    /// As above, by the datagram socket in `slot` of `sockets`.
    public mutating func flush(
        by slot: Int, of sockets: borrowing SocketTable, _ failed: (Int, SocketFailure) -> Void
    ) -> Int {
        flush(through: sockets.descriptor(slot), failed)
    }

    private mutating func flush(
        through raw: Int32, _ failed: (Int, SocketFailure) -> Void
    ) -> Int {
        var place: Int32 = 0
        var sent = 0
        let end = unsafe ctlab_batch_count(batch)
        while place < end {
            let count = unsafe ctlab_batch_send(batch, raw, place)
            if count > 0 {
                place += count
                sent += Int(count)
                continue
            }
            let code = ctlab_errno()
            if code == EINTR { continue }
            if code == EAGAIN {
                var entry = pollfd(fd: raw, events: Int16(POLLOUT), revents: 0)
                // A device that takes nothing for a second has taken its last.
                if unsafe poll(&entry, 1, 1000) > 0 { continue }
            }
            failed(Int(place), SocketFailure(.send, code))
            place += 1
        }
        unsafe ctlab_batch_clear(batch)
        return sent
    }

    /// Takes datagrams that have come to `socket`, without waiting: how many, at most `batchCount`.
    ///
    /// An error that an earlier datagram left behind is passed over.
    public mutating func receive(by socket: Int) -> Int {
        let count = unsafe ctlab_batch_receive(batch, descriptors[socket])
        return max(0, Int(count))
    }

    /// Sends back, by `socket`, those datagrams of its last `receive` that begin with `mark`, each from the very
    /// address it was sent to; how many went.
    public mutating func answer(by socket: Int, beginningWith mark: [UInt8]) -> Int {
        let raw = descriptors[socket]
        let sent = unsafe mark.withUnsafeBytes {
            unsafe ctlab_batch_answer(batch, raw, $0.baseAddress, Int32($0.count))
        }
        unsafe ctlab_batch_clear(batch)
        return max(0, Int(sent))
    }

    /// Forgets what was received.
    public mutating func discard() { unsafe ctlab_batch_clear(batch) }

    /// The address `socket` is bound to.
    public func localAddress(_ socket: Int) -> SocketAddress? {
        var name = ctlab_endpoint()
        guard unsafe ctlab_local_name(descriptors[socket], &name) == 0 else { return nil }
        return SocketAddress(name)
    }
}
