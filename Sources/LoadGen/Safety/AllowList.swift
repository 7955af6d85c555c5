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
            let entry = row.prefix { $0 != "#" }.filter { !$0.isWhitespace }
            guard !entry.isEmpty else { continue }
            if let (family, address, length) = Address.parsePrefix(entry) {
                prefixes.append((family, address, length))
            } else if let (family, address) = Address.parse(entry) {
                prefixes.append((family, address, family.addressBits))
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

    private static func isName(_ text: String) -> Bool {
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
