internal import LinuxCalls

/// A GET, which `curl` does: past any proxy, without a word of its own.
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
            "--silent", "--show-error", "--globoff", "--noproxy", "*", "--max-time", "\(seconds)",
        ] + (followsRedirections ? ["--location"] : []) + more + ["--", url]
    }
}
