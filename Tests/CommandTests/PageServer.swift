import Foundation
import LinuxCalls
import Synchronization
import Wire

/// An HTTP server for one page, on loopback and a thread of its own: tests that wait for a command
/// keep the threads of asynchronous code busy, and a server there would never get its turn.
final class PageServer: Sendable {
    /// Without a path.
    let url: String
    private let isOver = Flag()

    /// Serves until it goes; `page` answers a path with a status and a text.
    init(_ page: @escaping @Sendable (_ path: String) -> (status: Int, text: String)) throws {
        var sockets = try SocketTable(slotCount: 2)
        let any = SocketAddress(.ipv4, Address(ipv4: 0x7F00_0001), port: 0)
        try sockets.listen(0, on: any, backlog: 64)
        url = "http://127.0.0.1:\(sockets.localAddress(0)?.port ?? 0)"
        let box = Handover(sockets)
        let isOver = isOver
        Thread.detachNewThread {
            guard var sockets = box.take() else { return }
            while !isOver.isSet { try? Self.serve(&sockets, page) }
        }
    }

    deinit { isOver.set() }

    /// Answers whoever comes next, one after the other.
    private static func serve(
        _ sockets: inout SocketTable, _ page: (String) -> (status: Int, text: String)
    ) throws {
        guard sockets.wait(nanoseconds: 50_000_000) > 0, try sockets.accept(0, into: 1) else {
            return
        }
        defer { sockets.close(1) }
        var request: [UInt8] = []
        for _ in 0..<100 where !request.contains(UInt8(ascii: "\n")) {
            _ = sockets.wait(nanoseconds: 50_000_000)
            guard let count = try sockets.receive(1) else { continue }
            if count == 0 { return }
            request += (0..<count).map { sockets.received($0) }
        }
        let words = String(decoding: request, as: UTF8.self).split(separator: " ")
        let (status, text) = page(words.count > 1 ? String(words[1]) : "")
        let answer =
            "HTTP/1.0 \(status) Said\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
        _ = try sockets.send(1, Array(answer.utf8).span)
    }
}

/// Counts, from any thread.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    func next() -> Int { count.add(1, ordering: .relaxed).newValue }
}

private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .relaxed) }

    func set() { value.store(true, ordering: .relaxed) }
}

/// Something with one owner, on its way to another thread.
private final class Handover: Sendable {
    private let value: Mutex<SocketTable?>

    init(_ value: consuming sending SocketTable) { self.value = Mutex(value) }

    func take() -> SocketTable? {
        value.withLock { value in
            let taken = value.take()
            return taken
        }
    }
}
