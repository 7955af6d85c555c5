internal import CLinuxShims
internal import Glibc
internal import Wire

// Many sockets with one owner. Each lives in a slot; what is ready comes back as slot numbers.
// Whatever the engine does to a connection is one method here and one system call inside, so that
// the engine itself holds no descriptor and can leak none.

/// What became ready.
public struct Readiness: Sendable, BitwiseCopyable {
    /// The slot, or a number behind all slots: what `watch` was given.
    public let slot: Int
    let events: UInt32

    public var isReadable: Bool { events & CTLAB_READABLE != 0 }
    public var isWritable: Bool { events & CTLAB_WRITABLE != 0 }
    /// An error is pending, or both directions are closed.
    public var hasFailed: Bool { events & (CTLAB_FAILED | CTLAB_HUNG_UP) != 0 }
    /// The peer sends no more.
    public var hasEnded: Bool { events & (CTLAB_ENDED | CTLAB_HUNG_UP) != 0 }
}

/// Sockets by slot, and the epoll they are watched with; all closed with this value.
public struct SocketTable: ~Copyable {
    /// How much one `receive` takes at most.
    public static let receiveByteCount = 16 << 10

    private let poll: Int32
    /// The descriptor in each slot; -1 where there is none.
    private var descriptors: [Int32]
    private var ready: [ctlab_ready]
    private var scratch: [UInt8]

    public init(slotCount: Int) throws(SystemCallError) {
        poll = try checked("epoll_create1") { ctlab_epoll_create() }
        descriptors = Array(repeating: -1, count: slotCount)
        ready = Array(repeating: ctlab_ready(), count: Int(CTLAB_READY_MAX))
        scratch = Array(repeating: 0, count: Self.receiveByteCount)
    }

    deinit {
        for descriptor in descriptors where descriptor >= 0 { _ = Glibc.close(descriptor) }
        _ = Glibc.close(poll)
    }

    public var slotCount: Int { descriptors.count }

    // MARK: Making

    /// Starts a connection in `slot`; it is ready to write when it stands.
    ///
    /// - Parameter source: Where it comes from; port 0 lets the system choose, from all that are
    ///   free towards this destination. `nil` leaves the address to the system as well.
    public mutating func connect(
        _ slot: Int, to peer: SocketAddress, from source: SocketAddress?
    ) throws(SocketFailure) {
        precondition(descriptors[slot] < 0, "slot \(slot) is taken")
        let raw = try socketCall(.socket) { ctlab_stream_socket(Int32(peer.family.rawValue)) }
        do throws(SocketFailure) {
            if let source {
                if source.port == 0 {
                    _ = try socketCall(.option) { ctlab_choose_port_late(raw) }
                } else {
                    _ = try socketCall(.option) {
                        ctlab_set_option(raw, SOL_SOCKET, SO_REUSEADDR, 1)
                    }
                }
                var name = source.endpoint
                _ = try socketCall(.bind) { unsafe ctlab_bind(raw, &name) }
            }
            var name = peer.endpoint
            if unsafe ctlab_connect(raw, &name) != 0 {
                let code = ctlab_errno()
                guard code == EINPROGRESS || code == EINTR else {
                    throw SocketFailure(.connect, code)
                }
            }
            try watch(raw, as: slot, CTLAB_READABLE | CTLAB_WRITABLE | CTLAB_ENDED)
        } catch {
            _ = Glibc.close(raw)
            throw error
        }
        descriptors[slot] = raw
    }

    /// Puts a datagram socket into `slot` that talks to `peer` alone, from a port of its own.
    ///
    /// - Parameter source: Where it comes from; `nil` leaves the address to the system.
    public mutating func connectDatagrams(
        _ slot: Int, to peer: SocketAddress, from source: SocketAddress?
    ) throws(SocketFailure) {
        precondition(descriptors[slot] < 0, "slot \(slot) is taken")
        let raw = try socketCall(.socket) { ctlab_datagram_socket(Int32(peer.family.rawValue)) }
        do throws(SocketFailure) {
            if let source {
                var name = source.endpoint
                _ = try socketCall(.bind) { unsafe ctlab_bind(raw, &name) }
            }
            var name = peer.endpoint
            _ = try socketCall(.connect) { unsafe ctlab_connect(raw, &name) }
            try watch(raw, as: slot, CTLAB_READABLE)
        } catch {
            _ = Glibc.close(raw)
            throw error
        }
        descriptors[slot] = raw
    }

    func descriptor(_ slot: Int) -> Int32 { descriptors[slot] }

    /// Puts a listener into `slot`.
    ///
    /// - Parameter shared: Whether other processes may listen on the same address, each for a
    ///   part of the connections.
    public mutating func listen(
        _ slot: Int, on address: SocketAddress, backlog: Int32, shared: Bool = false
    ) throws(SocketFailure) {
        precondition(descriptors[slot] < 0, "slot \(slot) is taken")
        let raw = try socketCall(.socket) { ctlab_stream_socket(Int32(address.family.rawValue)) }
        do throws(SocketFailure) {
            _ = try socketCall(.option) { ctlab_set_option(raw, SOL_SOCKET, SO_REUSEADDR, 1) }
            if shared {
                _ = try socketCall(.option) { ctlab_set_option(raw, SOL_SOCKET, SO_REUSEPORT, 1) }
            }
            if address.family == .ipv6 {
                _ = try socketCall(.option) {
                    ctlab_set_option(raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
                }
            }
            var name = address.endpoint
            _ = try socketCall(.bind) { unsafe ctlab_bind(raw, &name) }
            _ = try socketCall(.listen) { Glibc.listen(raw, backlog) }
            try watch(raw, as: slot, CTLAB_READABLE, edge: false)
        } catch {
            _ = Glibc.close(raw)
            throw error
        }
        descriptors[slot] = raw
    }

    /// Takes the next connection of the listener in `listener` into `slot`.
    ///
    /// - Returns: Whether there was one.
    public mutating func accept(_ listener: Int, into slot: Int) throws(SocketFailure) -> Bool {
        precondition(descriptors[slot] < 0, "slot \(slot) is taken")
        let waiting = descriptors[listener]
        let raw: Int32
        do throws(SocketFailure) {
            raw = try socketCall(.accept) { ctlab_accept(waiting) }
        } catch {
            // Gone again before it was its turn, or none left.
            if error.code == EAGAIN || error.code == ECONNABORTED { return false }
            throw error
        }
        do throws(SocketFailure) {
            try watch(raw, as: slot, CTLAB_READABLE | CTLAB_ENDED)
        } catch {
            _ = Glibc.close(raw)
            throw error
        }
        descriptors[slot] = raw
        return true
    }

    private func watch(
        _ raw: Int32, as slot: Int, _ events: UInt32, edge: Bool = true
    ) throws(SocketFailure) {
        let events = edge ? events | CTLAB_ONCE : events
        _ = try socketCall(.watch) { ctlab_epoll_add(poll, raw, events, UInt64(slot)) }
    }

    /// Watches somebody else's descriptor; it shows up as slot `number`, which no socket has.
    ///
    /// Level-triggered: it shows up until it was read.
    public func watch(
        _ descriptor: borrowing FileDescriptor, as number: Int
    ) throws(SocketFailure) {
        precondition(number >= descriptors.count, "number \(number) is a slot")
        try watch(descriptor.raw, as: number, CTLAB_READABLE, edge: false)
    }

    /// As above, for datagram socket `socket` of `datagrams`.
    public func watch(
        _ datagrams: borrowing DatagramTable, _ socket: Int, as number: Int
    ) throws(SocketFailure) {
        precondition(number >= descriptors.count, "number \(number) is a slot")
        try watch(datagrams.descriptor(socket), as: number, CTLAB_READABLE, edge: false)
    }

    // MARK: Waiting

    /// Waits until something is ready, at most `nanoseconds`; how much is.
    public mutating func wait(nanoseconds: Int64) -> Int {
        let count = unsafe ctlab_epoll_wait(poll, &ready, max(0, nanoseconds))
        return max(0, Int(count))
    }

    /// What was ready at place `index` of the last `wait`.
    public func readiness(at index: Int) -> Readiness {
        Readiness(slot: Int(truncatingIfNeeded: ready[index].token), events: ready[index].events)
    }

    // MARK: Using

    /// What the connection attempt in `slot` came to: `nil` is good.
    public func failure(of slot: Int) -> SocketFailure? {
        var code: Int32 = 0
        guard unsafe ctlab_socket_error(descriptors[slot], &code) == 0 else {
            return SocketFailure(.connect, ctlab_errno())
        }
        return code == 0 ? nil : SocketFailure(.connect, code)
    }

    /// Sends what fits of `bytes`; 0 if nothing does.
    public func send(_ slot: Int, _ bytes: Span<UInt8>) throws(SocketFailure) -> Int {
        let raw = descriptors[slot]
        while true {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count >= 0 { return count }
            let code = ctlab_errno()
            if code == EAGAIN { return 0 }
            if code != EINTR { throw SocketFailure(.send, code) }
        }
    }

    /// Receives what is there, up to `receiveByteCount`; `received` shows it.
    ///
    /// - Returns: How much; 0 at the stream's end; `nil` if nothing is there.
    public mutating func receive(_ slot: Int) throws(SocketFailure) -> Int? {
        let raw = descriptors[slot]
        while true {
            let count = unsafe scratch.withUnsafeMutableBytes {
                unsafe recv(raw, $0.baseAddress, $0.count, 0)
            }
            if count >= 0 { return count }
            let code = ctlab_errno()
            if code == EAGAIN { return nil }
            if code != EINTR { throw SocketFailure(.receive, code) }
        }
    }

    /// Byte `index` of what `receive` took last.
    public func received(_ index: Int) -> UInt8 { scratch[index] }

    /// Bytes of `slot` that the peer has not acknowledged.
    public func unacknowledgedByteCount(_ slot: Int) -> Int {
        var count: Int32 = 0
        return unsafe ctlab_unacknowledged(descriptors[slot], &count) == 0 ? Int(count) : 0
    }

    /// Segments of the connection in `slot` that were sent again, its SYN included.
    public func retransmissionCount(_ slot: Int) -> Int {
        var count: UInt32 = 0
        return unsafe ctlab_retransmissions(descriptors[slot], &count) == 0 ? Int(count) : 0
    }

    /// Acknowledges at once what was received.
    public func acknowledgeNow(_ slot: Int) { _ = ctlab_acknowledge_now(descriptors[slot]) }

    // MARK: Ending

    /// Closes the connection with a FIN (a reset, if something received was not read).
    public mutating func close(_ slot: Int) {
        _ = Glibc.close(descriptors[slot])
        descriptors[slot] = -1
    }

    /// Closes the connection with a reset.
    public mutating func reset(_ slot: Int) {
        _ = ctlab_linger_none(descriptors[slot])
        close(slot)
    }

    /// Closes the connection without a word to anybody: the peer, and every tracker on the way,
    /// go on believing in it.
    ///
    /// - Throws: `EPERM` without CAP_NET_ADMIN; the connection is still there.
    public mutating func abandon(_ slot: Int) throws(SocketFailure) {
        let raw = descriptors[slot]
        _ = try socketCall(.option) { ctlab_repair(raw) }
        close(slot)
    }

    /// The local address of the socket in `slot`.
    public func localAddress(_ slot: Int) -> SocketAddress? {
        var name = ctlab_endpoint()
        guard unsafe ctlab_local_name(descriptors[slot], &name) == 0 else { return nil }
        return SocketAddress(name)
    }
}
