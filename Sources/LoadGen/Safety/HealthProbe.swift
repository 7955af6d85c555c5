public import LinuxCalls
internal import Wire

/// Asks a target once a second, beside a run, whether it is well; the run stops where it is not.
///
/// It never waits: whoever drives it calls `look` again and again. One question is under way at a
/// time, and one that is not answered in time has failed.
public struct HealthProbe: ~Copyable {
    public enum Question: Sendable, Hashable {
        /// Whether a connection can be made.
        case connect(SocketAddress)
        /// Whether a GET is answered with 2xx; `curl` asks.
        case get(url: String)

        var text: String {
            switch self {
            case .connect(let address): "connect \(address)"
            case .get(let url): "GET \(url)"
            }
        }

        /// The host that a GET of `url` asks; `nil` for what is no web address, or none that
        /// everybody reads alike.
        public static func host(ofURL url: String) -> String? {
            guard let scheme = ["http://", "https://"].first(where: { url.hasPrefix($0) }) else {
                return nil
            }
            let authority = url.dropFirst(scheme.count).prefix { !"/?#".contains($0) }
            let end: Substring.Index
            let host: Substring
            if authority.hasPrefix("["), let bracket = authority.firstIndex(of: "]") {
                end = authority.index(after: bracket)
                host = authority[..<bracket].dropFirst()
                guard Address.parse(String(host))?.0 == .ipv6 else { return nil }
            } else {
                end = authority.firstIndex(of: ":") ?? authority.endIndex
                host = authority[..<end]
                let isName = host.allSatisfy {
                    $0.isASCII && ($0.isLetter || $0.isNumber || ".-_".contains($0))
                }
                guard isName, !host.isEmpty else { return nil }
            }
            let port = authority[end...]
            let isPort = port.isEmpty || port.first == ":" && UInt16(port.dropFirst()) != nil
            return isPort ? String(host) : nil
        }
    }

    /// Nanoseconds from question to question, and how long each may take.
    private static let every: UInt64 = 1_000_000_000
    private static let patience: UInt64 = 2_000_000_000

    private let question: Question
    private let tolerated: Int
    private var sockets: SocketTable
    private var isConnecting = false
    private var child: ChildProcess?
    private var answer = ""
    private var askedAt: UInt64 = 0
    private var nextAt: UInt64 = 0
    /// Questions in a row that failed.
    public private(set) var failures = 0

    /// - Parameter failures: So many in a row mean that the target is not well.
    public init(_ question: Question, failures tolerated: Int) throws(SystemCallError) {
        precondition(tolerated > 0, "a probe that fails before it asks")
        self.question = question
        self.tolerated = tolerated
        sockets = try SocketTable(slotCount: 1)
    }

    /// Goes on with the question under way, or asks the next.
    ///
    /// - Returns: Why the target is not well, once it has failed so often; `nil` before.
    public mutating func look(at now: UInt64) -> String? {
        guard isConnecting || child != nil else {
            guard now >= nextAt else { return nil }
            (askedAt, nextAt) = (now, now + Self.every)
            return note(ask())
        }
        if let outcome = isConnecting ? connected() : fetched() { return note(outcome) }
        guard now > askedAt + Self.patience else { return nil }
        giveUp()
        return note(.failed("no answer within \(Self.patience / 1_000_000_000) s"))
    }

    private enum Outcome {
        case well
        case failed(String)
    }

    private mutating func note(_ outcome: Outcome?) -> String? {
        switch outcome {
        case nil: return nil
        case .well:
            failures = 0
            return nil
        case .failed(let reason):
            failures += 1
            guard failures >= tolerated else { return nil }
            return "the target is not well: \(question.text) failed \(failures) times in a row, at "
                + "last: \(reason)"
        }
    }

    /// Asks; an outcome where there is one at once.
    private mutating func ask() -> Outcome? {
        switch question {
        case .connect(let address):
            do throws(SocketFailure) {
                try sockets.connect(0, to: address, from: nil)
                isConnecting = true
                return nil
            } catch {
                return .failed("\(error.error(with: address))")
            }
        case .get(let url):
            guard let program = WebQuestion.program else { return .failed(WebQuestion.missing) }
            do throws(SystemCallError) {
                child = try ChildProcess(
                    program.path,
                    WebQuestion.arguments(
                        url, seconds: 2, followsRedirections: false,
                        ["--output", "/dev/null", "--write-out", "%{http_code}\n"]))
                answer = ""
                return nil
            } catch {
                return .failed("\(error)")
            }
        }
    }

    private mutating func connected() -> Outcome? {
        guard sockets.wait(nanoseconds: 0) > 0 else { return nil }
        let event = sockets.readiness(at: 0)
        isConnecting = false
        let failure = event.hasFailed ? sockets.failure(of: 0) : nil
        sockets.close(0)
        return failure.map { .failed($0.reason) } ?? .well
    }

    private mutating func fetched() -> Outcome? {
        guard let child, let (lines, hasMore) = try? child.lines() else {
            giveUp()
            return .failed("curl cannot be read")
        }
        answer += lines.joined()
        guard !hasMore else { return nil }
        let code = child.wait()
        self.child = nil
        guard code == 0 else { return .failed("curl ended with code \(code)") }
        return answer.hasPrefix("2") ? .well : .failed("answered with \(answer)")
    }

    private mutating func giveUp() {
        if isConnecting { sockets.reset(0) }
        isConnecting = false
        child = nil
    }
}
