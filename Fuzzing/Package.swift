// swift-tools-version: 6.2
import PackageDescription

// libFuzzer targets, a package of its own: everything in it is built with coverage counters, by
// `scripts/fuzz`.
let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .strictMemorySafety()]
let library: [Target.Dependency] = [
    .product(name: "Conntrack", package: "ctlab"), .product(name: "ReplayKit", package: "ctlab"),
]

let package = Package(
    name: "Fuzzing",
    dependencies: [.package(name: "ctlab", path: "..")],
    targets: [
        .target(name: "FuzzTools", dependencies: library, swiftSettings: strict)
    ]
        + ["FuzzCapture", "FuzzPackets", "FuzzRuleset", "FuzzNodeFile", "FuzzTable"].map {
            .executableTarget(
                name: $0, dependencies: ["FuzzTools"] + library, swiftSettings: strict)
        }
)
