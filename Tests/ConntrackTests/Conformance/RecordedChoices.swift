// What ranges of addresses map to, as the live kernel (6.18.44) chose them: clients 10.1.0.2 and
// fd01::2, one datagram to each destination, each from a port of its own. Spec nat.md §3.1.

/// A range, and what it came to for a list of destinations.
struct Choice: CustomStringConvertible, Sendable {
    let isSource: Bool
    let isIPv6: Bool
    /// As a rule has it, flags included.
    let range: String
    /// Pairs of destination and chosen address.
    let choices: [(destination: String, chosen: String)]

    var description: String { "\(isSource ? "snat" : "dnat") to \(range)" }

    private init(_ kind: String, _ range: String, _ destinations: [String], _ chosen: String) {
        isSource = kind.hasPrefix("snat")
        isIPv6 = kind.hasSuffix("6")
        self.range = range
        let words = chosen.split(whereSeparator: \.isWhitespace).map(String.init)
        choices = zip(destinations, words).map { (destination: $0, chosen: $1) }
    }

    private static let servers = (100..<140).map { "10.2.0.\($0)" }
    private static let virtual = (60..<80).map { "10.1.0.\($0)" }
    private static let servers6 =
        (0x100..<0x110).map { "fd02::\(String($0, radix: 16))" }
        + (1...8).map {
            "2001:db8:\(String($0, radix: 16))::\(String($0 * 77, radix: 16))"
        }
    private static let virtual6 = (60..<76).map { "fd01::\(String($0, radix: 16))" }

    static let all: [Choice] = [
        Choice(
            "snat4", "10.2.0.10-10.2.0.13", servers,
            """
            10.2.0.12 10.2.0.13 10.2.0.12 10.2.0.10 10.2.0.13 10.2.0.10 10.2.0.13 10.2.0.13
            10.2.0.13 10.2.0.13 10.2.0.12 10.2.0.13 10.2.0.10 10.2.0.10 10.2.0.11 10.2.0.13
            10.2.0.11 10.2.0.13 10.2.0.11 10.2.0.13 10.2.0.13 10.2.0.12 10.2.0.12 10.2.0.13
            10.2.0.11 10.2.0.12 10.2.0.12 10.2.0.11 10.2.0.13 10.2.0.13 10.2.0.11 10.2.0.11
            10.2.0.12 10.2.0.11 10.2.0.12 10.2.0.13 10.2.0.13 10.2.0.12 10.2.0.10 10.2.0.12
            """),
        Choice(
            "snat4", "10.2.0.10-10.2.0.13 persistent", servers,
            """
            10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10
            """),
        Choice(
            "snat4", "10.2.0.10-10.9.200.77", servers,
            """
            10.6.233.125 10.9.106.195 10.7.70.227 10.3.113.83 10.8.221.34 10.3.198.42
            10.8.116.234 10.8.251.63 10.9.116.141 10.8.48.76
            """),
        Choice(
            "dnat4", "10.2.0.10-10.2.0.13", virtual,
            """
            10.2.0.10 10.2.0.12 10.2.0.13 10.2.0.11 10.2.0.13 10.2.0.12 10.2.0.13 10.2.0.10
            10.2.0.12 10.2.0.12 10.2.0.10 10.2.0.13 10.2.0.10 10.2.0.13 10.2.0.10 10.2.0.10
            10.2.0.10 10.2.0.11 10.2.0.12 10.2.0.12
            """),
        Choice(
            "dnat4", "10.2.0.10-10.9.200.77", virtual,
            """
            10.3.76.61 10.6.63.88 10.9.181.101 10.4.49.23 10.8.9.184 10.7.115.71 10.8.45.82
            10.3.156.216 10.7.53.166 10.6.208.16
            """),
        Choice(
            "dnat4", "10.2.0.10-10.2.0.13 persistent", virtual,
            """
            10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10 10.2.0.10
            """),
        Choice(
            "snat6", "fd02::10-fd02::1f", servers6,
            """
            fd02::16 fd02::12 fd02::13 fd02::1c fd02::15 fd02::15 fd02::1a fd02::17 fd02::13
            fd02::16 fd02::15 fd02::18 fd02::19 fd02::11 fd02::11 fd02::1c fd02::10 fd02::13
            fd02::14 fd02::18 fd02::19 fd02::15 fd02::11 fd02::1f
            """),
        Choice(
            "snat6", "fd02::10-fd02::1f persistent", servers6,
            """
            fd02::18 fd02::18 fd02::18 fd02::18
            """),
        Choice(
            "snat6", "fd02::1:0-fd02::5:ffff", servers6,
            """
            fd02::3:2dbc fd02::1:aaa0 fd02::2:26c9 fd02::4:eacf fd02::2:b23d fd02::2:b7b3
            fd02::4:3017 fd02::3:7d2d fd02::2:307f fd02::3:14c1 fd02::2:a7f3 fd02::3:9589
            fd02::4:710 fd02::1:9ff4 fd02::1:835a fd02::4:fce9 fd02::1:3a4b fd02::2:2e40
            fd02::2:40fe fd02::3:8cb5 fd02::3:d4db fd02::2:b511 fd02::1:5ed4 fd02::5:fbe7
            """),
        Choice(
            "snat6", "fd02::1:0-fd02::5:ffff persistent", servers6,
            """
            fd02::3:a512 fd02::3:a512 fd02::3:a512 fd02::3:a512
            """),
        Choice(
            "snat6", "fd02::10-fd02:0:0:3::7", servers6,
            """
            fd02::1:6f8c:33:6f8c:33 fd02::2220:151d:2220:151d fd02::3af5:15df:3af5:15df
            fd02::3:0:0:c88f:e60d fd02::1:56d9:d1:56d9:d1 fd02::1:57f0:9eac:57f0:9eac
            fd02::2:a337:def9:a337:def9 fd02::1:7f6f:81fa:7f6f:81fa fd02::3ce6:40aa:3ce6:40aa
            fd02::1:6a8d:1b52:6a8d:1b52 fd02::1:54ca:4753:54ca:4753 fd02::2:844e:a957:844e:a957
            fd02::2:9b03:4c83:9b03:4c83 fd02::1ffd:b799:1ffd:b799 fd02::1a45:5d36:1a45:5d36
            fd02::3:0:0:cc2e:a674 fd02::ba8:cc48:ba8:cc48 fd02::3c73:53af:3c73:53af
            fd02::1:4032:e3b8:4032:e3b8 fd02::2:828a:b096:828a:b096 fd02::2:90f8:b1ab:90f8:b1ab
            fd02::1:5769:f243:5769:f243 fd02::12f7:45ca:12f7:45ca fd02::3:0:0:ff2e:639a
            """),
        Choice(
            "snat6", "fd02::10-fd02:0:0:3::7 persistent", servers6,
            """
            fd02::2:876a:2056:876a:2056 fd02::2:876a:2056:876a:2056 fd02::2:876a:2056:876a:2056
            fd02::2:876a:2056:876a:2056
            """),
        Choice(
            "snat6", "fd02::-fd03:ffff:ffff:ffff:ffff:ffff:ffff:ffff", servers6,
            """
            fd02:df18:6f8c:33:6f8c:33:6f8c:33 fd02:4440:2220:151d:2220:151d:2220:151d
            fd02:75ea:3af5:15df:3af5:15df:3af5:15df fd03:911f:c88f:e603:c88f:e603:c88f:e603
            fd02:adb2:56d9:d1:56d9:d1:56d9:d1 fd02:afe1:57f0:9eac:57f0:9eac:57f0:9eac
            fd03:466f:a337:def9:a337:def9:a337:def9 fd02:fedf:7f6f:81fa:7f6f:81fa:7f6f:81fa
            fd02:79cc:3ce6:40aa:3ce6:40aa:3ce6:40aa fd02:d51a:6a8d:1b52:6a8d:1b52:6a8d:1b52
            fd02:a994:54ca:4753:54ca:4753:54ca:4753 fd03:89d:844e:a957:844e:a957:844e:a957
            fd03:3606:9b03:4c83:9b03:4c83:9b03:4c83 fd02:3ffb:1ffd:b799:1ffd:b799:1ffd:b799
            fd02:348a:1a45:5d36:1a45:5d36:1a45:5d36 fd03:985d:cc2e:a66a:cc2e:a66a:cc2e:a66a
            fd03:674b:ba8:cd48:ba8:cc48:ba8:cc48 fd03:8fc:3c73:51af:3c73:53af:3c73:53af
            fd03:f07f:4032:e0b8:4032:e3b8:4032:e3b8 fd02:750f:828a:b496:828a:b096:828a:b096
            fd02:51eb:90f8:b4ab:90f8:b1ab:90f8:b1ab fd03:dec9:5769:f443:5769:f243:5769:f243
            fd03:55f4:12f7:42ca:12f7:45ca:12f7:45ca fd02:8e46:ff2e:6b91:ff2e:6391:ff2e:6391
            """),
        Choice(
            "snat6", "fd02::-fd03:ffff:ffff:ffff:ffff:ffff:ffff:ffff persistent", servers6,
            """
            fd03:ed4:876a:2056:876a:2056:876a:2056 fd03:ed4:876a:2056:876a:2056:876a:2056
            fd03:ed4:876a:2056:876a:2056:876a:2056 fd03:ed4:876a:2056:876a:2056:876a:2056
            """),
        Choice(
            "snat6", "fd02::ffff:0:0-fd02:0:0:1::", servers6,
            """
            fd02::6f8c:33:6f8c:33 fd02::2220:151d:2220:151d fd02::3af5:15df:3af5:15df
            fd02::1:c890:1d74:c88f:e603 fd02::56d9:d1:56d9:d1 fd02::57f0:9eac:57f0:9eac
            fd02::1:a338:3bc2:a337:def9 fd02::7f6f:81fa:7f6f:81fa fd02::3ce6:40aa:3ce6:40aa
            fd02::6a8d:1b52:6a8d:1b52 fd02::54ca:4753:54ca:4753 fd02::1:844f:2509:844e:a957
            fd02::1:9b03:b180:9b03:4c83 fd02::1ffd:b799:1ffd:b799 fd02::1a45:5d36:1a45:5d36
            fd02::1:cc2e:da3c:cc2e:a66a fd02::ba8:cc48:ba8:cc48 fd02::3c73:53af:3c73:53af
            fd02::4032:e3b8:4032:e3b8 fd02::1:828b:2e0c:828a:b096 fd02::1:90f9:20b3:90f8:b1ab
            fd02::5769:f243:5769:f243 fd02::12f7:45ca:12f7:45ca fd02::1:ff2e:6464:ff2e:6391
            """),
        Choice(
            "snat6", "fd02::ffff:0:0-fd02:0:0:1:: persistent", servers6,
            """
            fd02::1:876a:98ec:876a:2056 fd02::1:876a:98ec:876a:2056 fd02::1:876a:98ec:876a:2056
            fd02::1:876a:98ec:876a:2056
            """),
        Choice(
            "dnat6", "fd02::10-fd02::1f", virtual6,
            """
            fd02::1e fd02::13 fd02::1e fd02::10 fd02::1b fd02::10 fd02::1a fd02::18 fd02::1d
            fd02::18 fd02::1b fd02::1b fd02::12 fd02::1f fd02::1f fd02::17
            """),
    ]
}
