internal import LinuxCalls

/// A GET, which `curl` does: past any proxy, without a word of its own, and as it is told here
/// alone: what `~/.curlrc` says may lead to another host.
enum WebQuestion {
    static let missing = "there is no curl here; install the package curl"

    /// `nil` where there is no `curl`.
    static var program: Program? { Program(named: "curl") }

    /// The words behind `curl`.
    ///
    /// - Parameter followsRedirections: They may lead to another host.
    static func arguments(
        _ url: String, seconds: Double, followsRedirections: Bool = true, _ more: [String]
    ) -> [String] {
        [
            // Heeded in the first place only.
            "-q",
            "--silent", "--show-error", "--globoff", "--noproxy", "*", "--max-time", "\(seconds)",
        ] + (followsRedirections ? ["--location"] : []) + more + ["--", url]
    }
}
