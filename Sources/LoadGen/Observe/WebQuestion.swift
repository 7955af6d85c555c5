internal import LinuxCalls

/// A GET, which `curl` does: past any proxy, along redirections, without a word of its own.
enum WebQuestion {
    static let missing = "there is no curl here; install the package curl"

    /// `nil` where there is no `curl`.
    static var program: Program? { Program(named: "curl") }

    /// The words behind `curl`.
    static func arguments(_ url: String, seconds: Double, _ more: [String]) -> [String] {
        [
            "--silent", "--show-error", "--location", "--noproxy", "*", "--max-time", "\(seconds)",
        ] + more + ["--", url]
    }
}
