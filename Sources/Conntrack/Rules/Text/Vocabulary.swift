/// The symbol tables of the data types, as `nft describe` lists them.
enum Vocabulary {
    typealias Symbols = [(name: String, value: UInt64)]

    /// Values of `ct state`: spec policy.md §4.
    static let connectionStates: Symbols = [
        ("invalid", 1), ("new", 8), ("established", 2), ("related", 4), ("untracked", 64),
    ]

    static let connectionStatus: Symbols = [
        ("expected", 0x001), ("seen-reply", 0x002), ("assured", 0x004), ("confirmed", 0x008),
        ("snat", 0x010), ("dnat", 0x020), ("dying", 0x200),
    ]

    /// What an address is to this machine's routing: the kernel's route types.
    static let addressTypes: Symbols = [
        ("unspec", 0), ("unicast", 1), ("local", 2), ("broadcast", 3), ("anycast", 4),
        ("multicast", 5), ("blackhole", 6), ("unreachable", 7), ("prohibit", 8),
    ]

    static let tcpFlags: Symbols = [
        ("fin", 0x01), ("syn", 0x02), ("rst", 0x04), ("psh", 0x08), ("ack", 0x10),
        ("urg", 0x20), ("ecn", 0x40), ("cwr", 0x80),
    ]

    static let dscp: Symbols = [
        ("cs0", 0x00), ("cs1", 0x08), ("cs2", 0x10), ("cs3", 0x18), ("cs4", 0x20),
        ("cs5", 0x28), ("cs6", 0x30), ("cs7", 0x38), ("df", 0x00), ("be", 0x00),
        ("lephb", 0x01), ("af11", 0x0a), ("af12", 0x0c), ("af13", 0x0e), ("af21", 0x12),
        ("af22", 0x14), ("af23", 0x16), ("af31", 0x1a), ("af32", 0x1c), ("af33", 0x1e),
        ("af41", 0x22), ("af42", 0x24), ("af43", 0x26), ("va", 0x2c), ("ef", 0x2e),
    ]

    static let icmpTypes: Symbols = [
        ("echo-reply", 0), ("destination-unreachable", 3), ("source-quench", 4),
        ("redirect", 5), ("echo-request", 8), ("router-advertisement", 9),
        ("router-solicitation", 10), ("time-exceeded", 11), ("parameter-problem", 12),
        ("timestamp-request", 13), ("timestamp-reply", 14), ("info-request", 15),
        ("info-reply", 16), ("address-mask-request", 17), ("address-mask-reply", 18),
    ]

    static let icmpCodes: Symbols = [
        ("net-unreachable", 0), ("host-unreachable", 1), ("prot-unreachable", 2),
        ("port-unreachable", 3), ("frag-needed", 4), ("net-prohibited", 9),
        ("host-prohibited", 10), ("admin-prohibited", 13),
    ]

    static let icmpv6Types: Symbols = [
        ("destination-unreachable", 1), ("packet-too-big", 2), ("time-exceeded", 3),
        ("parameter-problem", 4), ("echo-request", 128), ("echo-reply", 129),
        ("mld-listener-query", 130), ("mld-listener-report", 131), ("mld-listener-done", 132),
        ("mld-listener-reduction", 132), ("nd-router-solicit", 133), ("nd-router-advert", 134),
        ("nd-neighbor-solicit", 135), ("nd-neighbor-advert", 136), ("nd-redirect", 137),
        ("router-renumbering", 138), ("ind-neighbor-solicit", 141),
        ("ind-neighbor-advert", 142), ("mld2-listener-report", 143),
    ]

    static let icmpv6Codes: Symbols = [
        ("no-route", 0), ("admin-prohibited", 1), ("addr-unreachable", 3),
        ("port-unreachable", 4), ("policy-fail", 5), ("reject-route", 6),
    ]

    /// Codes that stand for one of each family (`reject with icmpx`).
    static let icmpxCodes: Symbols = [
        ("no-route", 0), ("port-unreachable", 1), ("host-unreachable", 2),
        ("admin-prohibited", 3),
    ]

    static let protocols: Symbols = [
        ("ip", 0), ("icmp", 1), ("igmp", 2), ("ipencap", 4), ("tcp", 6), ("egp", 8), ("igp", 9),
        ("udp", 17), ("dccp", 33), ("ipv6", 41), ("ipv6-route", 43), ("ipv6-frag", 44),
        ("rsvp", 46), ("gre", 47), ("esp", 50), ("ah", 51), ("icmpv6", 58), ("ipv6-icmp", 58),
        ("ipv6-nonxt", 59), ("ipv6-opts", 60), ("eigrp", 88), ("ospf", 89), ("ipip", 94),
        ("etherip", 97), ("encap", 98), ("pim", 103), ("comp", 108), ("ipcomp", 108),
        ("vrrp", 112), ("l2tp", 115), ("isis", 124), ("sctp", 132), ("mobility-header", 135),
        ("udplite", 136), ("mpls-in-ip", 137), ("hip", 139), ("shim6", 140),
    ]

    /// Services that rulesets name; the numbers of IANA's registry.
    static let services: Symbols = [
        ("echo", 7), ("discard", 9), ("daytime", 13), ("ftp-data", 20), ("ftp", 21),
        ("ssh", 22), ("telnet", 23), ("smtp", 25), ("time", 37), ("whois", 43),
        ("tacacs", 49), ("domain", 53), ("bootps", 67), ("bootpc", 68), ("tftp", 69),
        ("gopher", 70), ("finger", 79), ("http", 80), ("kerberos", 88), ("pop3", 110),
        ("sunrpc", 111), ("auth", 113), ("nntp", 119), ("ntp", 123), ("epmap", 135),
        ("netbios-ns", 137), ("netbios-dgm", 138), ("netbios-ssn", 139), ("imap2", 143),
        ("snmp", 161), ("snmp-trap", 162), ("xdmcp", 177), ("bgp", 179),
        ("ldap", 389), ("https", 443), ("microsoft-ds", 445), ("kpasswd", 464),
        ("submissions", 465), ("isakmp", 500), ("syslog", 514), ("printer", 515),
        ("route", 520), ("ipp", 631), ("submission", 587), ("ldaps", 636),
        ("domain-s", 853), ("rsync", 873), ("ftps-data", 989), ("ftps", 990),
        ("imaps", 993), ("pop3s", 995), ("socks", 1080), ("openvpn", 1194),
        ("ms-sql-s", 1433), ("radius", 1812), ("radius-acct", 1813), ("nfs", 2049),
        ("mysql", 3306), ("ms-wbt-server", 3389), ("svn", 3690), ("epmd", 4369),
        ("ipsec-nat-t", 4500), ("sip", 5060), ("sip-tls", 5061), ("xmpp-client", 5222),
        ("xmpp-server", 5269), ("mdns", 5353), ("postgresql", 5432), ("amqp", 5672),
        ("x11", 6000), ("redis", 6379), ("git", 9418), ("http-alt", 8080),
        ("zabbix-agent", 10050), ("zabbix-trapper", 10051),
    ]
}
