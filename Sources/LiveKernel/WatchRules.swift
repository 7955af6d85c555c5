// The rules we add to a node's own: they see and say, and change nothing.
//
// `silence` keeps the machine's own stack quiet: what it would say by itself is dropped at OUTPUT
// before the tracker sees it, so that both arms see the same packets. What `reject` rules answer
// looks like what the stack says to packets it cannot deliver; those never reach it, because they
// end behind the last hook. `classes` names each packet's class
// right behind the tracker's place (priority -200), where it is fixed for the whole path
// (spec policy.md §3.1). `arrivals` stands behind everything at INPUT, confirmation included, so
// that it must be loaded before whatever registers the tracker. An answer to the machine itself
// comes back over `lo`; nothing is said of it. All of it is in tables of our own.

enum WatchRules {
    /// The log group of the watch rules: high, so that a node's own rules do not hit it.
    static let logGroup: UInt16 = 64_537

    /// What a message of the watch rules says.
    enum Prefix {
        static let mark = "ctlab:"
        static let arrival = "ctlab:local"
        static let unwatched = "ctlab:none"
        static let zone = "ctlab:zone"
        static let answer = "ctlab:answer"
    }

    /// Whether a line of a listing begins one of our tables that stay when rules are replaced.
    static func stays(_ line: Substring) -> Bool {
        line.hasSuffix("ctlab_silence") || line.hasSuffix("ctlab_arrivals")
    }

    /// Whether a line of a listing begins one of our tables.
    static func isOurs(_ line: Substring) -> Bool {
        let words = line.split(separator: " ")
        let names = ["ctlab_silence", "ctlab_classes", "ctlab_arrivals"]
        return words.count > 2 && words[0] == "table" && names.contains { $0 == words[2] }
    }

    /// - Parameter hasRoutes: Whether there is a route to everywhere: without one the stack says so
    ///   of packets it cannot forward, as a rule might of packets it refuses.
    static func silence(hasRoutes: Bool) -> String {
        let codes = hasRoutes ? "0-3, 9, 10, 13" : "2, 3, 9, 10, 13"
        let codes6 = hasRoutes ? "0, 1, 3-6" : "1, 3-6"
        return """
            table inet ctlab_silence {
                chain output {
                    type filter hook output priority -400; policy drop;
                    tcp flags & rst == rst goto answers
                    icmp type destination-unreachable icmp code { \(codes) } goto answers
                    icmpv6 type destination-unreachable icmpv6 code { \(codes6) } goto answers
                }
                chain answers {
                    log prefix "\(Prefix.answer)" group \(logGroup) accept
                }
            }

            """
    }

    /// Says the class of each packet of `family`: `ip` or `ip6`.
    ///
    /// The rules read the tracker's state, so they make the family tracked.
    static func classes(_ family: String) -> String {
        let rows = [
            ("ct state established ct direction reply", "established reply"),
            ("ct state established", "established original"),
            ("ct state new", "new original"),
            ("ct state invalid", "invalid"),
            ("ct state related ct direction reply", "related reply"),
            ("ct state related", "related original"),
            ("ct state untracked", "untracked"),
        ]
        return chain(
            "classes", of: family, hook: "prerouting", priority: "-199",
            rules: rows.map {
                "iifname != \"lo\" \($0.0) log prefix \"ctlab:\($0.1)\" group \(logGroup) accept"
            })
    }

    /// As `classes` for a family that is not tracked: asking for the state would change that.
    static func passages(_ family: String) -> String {
        chain(
            "classes", of: family, hook: "prerouting", priority: "-199",
            rules: ["iifname != \"lo\" log prefix \"\(Prefix.unwatched)\" group \(logGroup)"])
    }

    /// Says that a packet of `family` reached this machine itself, and ends its way: the machine's
    /// own stack has nothing to say to it.
    static func arrivals(_ family: String) -> String {
        chain(
            "arrivals", of: family, hook: "input", priority: "2147483647",
            rules: ["iifname != \"lo\" log prefix \"\(Prefix.arrival)\" group \(logGroup) drop"])
    }

    private static func chain(
        _ name: String, of family: String, hook: String, priority: String, rules: [String]
    ) -> String {
        let body = rules.map { "        \($0)\n" }.joined()
        return """
            table \(family) ctlab_\(name) {
                chain \(hook) {
                    type filter hook \(hook) priority \(priority); policy accept;
            \(body)    }
            }

            """
    }
}

/// Which families a ruleset makes the kernel track (spec policy.md §2).
///
/// The kernel does not say, so the listing is searched for the expressions that need the tracker.
/// A wrong answer shows: a family that is tracked without being watched moves counters.
struct TrackedFamilies {
    private(set) var names: Set<String> = []

    /// - Parameter listing: What `nft list ruleset` prints; our own tables are passed over.
    init(listing: String) {
        var families: [String] = []
        var isInChain = false
        for line in listing.split(separator: "\n") {
            let words = Self.words(of: line)
            if words.first == "table", words.count > 1 {
                families = words[1] == "inet" ? ["ip", "ip6"] : [words[1]]
                if WatchRules.isOurs(line) { families = [] }
            } else if words.first == "chain" {
                isInChain = true
            } else if words.first == "}" {
                isInChain = false
            } else if isInChain, words.contains(where: Self.needsTracker) {
                names.formUnion(families)
            }
        }
    }

    private static func needsTracker(_ word: String) -> Bool {
        ["ct", "snat", "dnat", "masquerade", "redirect", "synproxy"].contains(word)
    }

    /// The words of a line without its quoted texts.
    private static func words(of line: Substring) -> [String] {
        let plain = line.split(separator: "\"", omittingEmptySubsequences: false)
            .enumerated().filter { $0.offset % 2 == 0 }.map(\.element).joined(separator: " ")
        return plain.split(whereSeparator: { " \t".contains($0) }).map(String.init)
    }
}
