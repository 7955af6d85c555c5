// An entry has to be looked up in the packet's own zone, and nothing in the kernel tells what that
// was: a rule cannot read a template, and a packet the tracker refused has nothing else. So every
// `ct zone set` of a node's rules is given a log statement behind it, which says the zone and
// changes nothing. A rule that takes the zone out of a map becomes a rule for each of the map's
// elements before that. What stays unseen is a map with a name, and a map in a rule that must not
// be asked twice, because it changes or counts something first: such a packet's entry is looked up
// in no zone.

/// Zone numbers by direction; 0 where there is none.
struct ZoneNumbers: Hashable {
    var original: UInt16 = 0
    var reply: UInt16 = 0
}

extension ZoneNumbers {
    /// Reads the message of a watched rule: `ctlab:zone original 5`; `nil` for any other.
    init?(_ message: String) {
        let words = message.split(separator: " ")
        guard words.count == 3, words[0] == WatchRules.Prefix.zone, let zone = UInt16(words[2])
        else { return nil }
        self.init(
            original: words[1] == "reply" ? 0 : zone, reply: words[1] == "original" ? 0 : zone)
    }
}

enum ZoneWatch {
    /// The ruleset, with a log statement behind each `ct zone set NUMBER`.
    static func watched(_ ruleset: String) -> String {
        ZoneMaps.spreadOut(ruleset).split(separator: "\n", omittingEmptySubsequences: false)
            .map { watched(line: $0) }.joined(separator: "\n")
    }

    private static func watched(line: Substring) -> String {
        guard line.contains("zone set ") else { return String(line) }
        var words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        var place = 2
        while place + 1 < words.count {
            defer { place += 1 }
            guard words[place] == "set", words[place - 1] == "zone" else { continue }
            let direction = ["original", "reply"].first { $0 == words[place - 2] } ?? "both"
            let value = words[place + 1].prefix { $0 != ";" }
            let zone =
                value.hasPrefix("0x") ? UInt16(value.dropFirst(2), radix: 16) : UInt16(value)
            guard let zone else { continue }
            let rest = words[place + 1].dropFirst(value.count)
            words[place + 1] =
                "\(value) log prefix \"\(WatchRules.Prefix.zone) \(direction) \(zone)\" "
                + "group \(WatchRules.logGroup)\(rest)"
        }
        return words.joined(separator: " ")
    }
}
