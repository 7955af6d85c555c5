public import Wire

/// The hosts somebody has written down as theirs to load: an allow file's content.
///
/// One a line: an address, a prefix (`10.1.0.0/16`) or a host name; what follows `#` is a remark.
public struct AllowList: Sendable {
    /// Where it is looked for if no other place is named.
    public static let defaultPath = "/etc/ctlab/may-load"

    /// The file it was read from; `nil` for the list of nobody.
    public private(set) var path: String?
    private var names: [String] = []
    private var prefixes: [(family: Family, address: Address, length: Int)] = []

    public init() {}

    /// - Throws: All lines that are neither, with their numbers.
    public init(text: String, path: String) throws(AllowListError) {
        self.path = path
        var mistakes: [String] = []
        let rows = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, row) in rows.enumerated() {
            // Blanks inside stay: put together, two words would be a third host.
            let words = row.prefix { $0 != "#" }.drop { $0.isWhitespace }
            guard let last = words.lastIndex(where: { !$0.isWhitespace }) else { continue }
            let entry = String(words[...last])
            if let prefix = Self.prefix(entry) {
                prefixes.append(prefix)
            } else if Self.isName(entry) {
                names.append(entry.lowercased())
            } else {
                mistakes.append(
                    "\(path):\(index + 1): found '\(entry)', expected an address, a prefix or a "
                        + "host name")
            }
        }
        guard mistakes.isEmpty else { throw AllowListError(lines: mistakes) }
    }

    /// Reads an address, or a prefix; one of IPv4-mapped addresses is the IPv4 prefix inside.
    static func prefix(_ text: String) -> (family: Family, address: Address, length: Int)? {
        let whole = Address.parse(text).map { ($0.0, $0.1, $0.0.addressBits) }
        guard let (family, address, length) = whole ?? Address.parsePrefix(text) else { return nil }
        let (plainFamily, plain) = AddressClass.unmapped(family, address)
        let mapped = family.addressBits - plainFamily.addressBits
        guard length >= mapped else { return (family, address, length) }
        return (plainFamily, plain, length - mapped)
    }

    /// Whether it may be the name of a host.
    static func isName(_ text: String) -> Bool {
        text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"):
                true
            default: false
            }
        } && text.contains(where: \.isLetter)
    }

    /// Whether the host is listed: by the very name, or by the address.
    public func lists(_ host: String, _ family: Family, _ address: Address) -> Bool {
        if names.contains(host.lowercased()) { return true }
        return prefixes.contains { entry in
            let mask = Address.mask(prefix: entry.length, entry.family)
            return entry.family == family
                && address.masked(by: mask) == entry.address.masked(by: mask)
        }
    }
}

/// An allow file with mistakes.
public struct AllowListError: Error, Sendable, CustomStringConvertible {
    public var lines: [String]

    public var description: String { lines.joined(separator: "\n") }
}
