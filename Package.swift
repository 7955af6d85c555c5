// swift-tools-version: 6.2
import PackageDescription

// Rooms and arrows: docs/architecture.md. A room imports only rooms below it.
var strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
// `make check` sets this: a warning is an error, in our own rooms alone.
if Context.environment["CTLAB_WARNINGS"] == "error" {
    strict.append(.treatAllWarnings(as: .error))
}

// The address sanitizer brings an allocator of its own; two of them do not go together.
let allocator: [Target.Dependency] =
    Context.environment["CTLAB_ALLOCATOR"] == "system" ? [] : ["CJemalloc"]

let package = Package(
    name: "ctlab",
    products: [
        .executable(name: "ctlab", targets: ["ctlab"]),
        .library(name: "Conntrack", targets: ["Wire", "Conntrack"]),
        .library(name: "ReplayKit", targets: ["Replay", "Report", "Scenario", "LinuxCalls"]),
        .library(name: "Simulator", targets: ["Simulator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/onevcat/Rainbow", from: "4.2.2"),
        .package(url: "https://github.com/apple/swift-numerics", from: "1.1.1"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CJemalloc", pkgConfig: "jemalloc", providers: [.apt(["libjemalloc-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CLinuxShims"),
        .target(name: "Wire", swiftSettings: strict),
        .target(name: "CMemoryHints"),
        .target(
            name: "Conntrack", dependencies: ["Wire", "CMemoryHints"], swiftSettings: strict),
        .target(
            name: "LinuxCalls", dependencies: ["Wire", "CLinuxShims", "CZlib"] + allocator,
            swiftSettings: strict),
        .target(
            name: "Scenario",
            dependencies: ["Wire", "Conntrack", .product(name: "Yams", package: "Yams")],
            swiftSettings: strict),
        .target(
            name: "Report",
            dependencies: ["Wire", "Conntrack", .product(name: "Rainbow", package: "Rainbow")],
            swiftSettings: strict),
        .target(
            name: "Replay", dependencies: ["Wire", "Conntrack", "Scenario", "Report"],
            swiftSettings: strict),
        .target(
            name: "Simulator",
            dependencies: [
                "Wire", "Conntrack", "Scenario", "Report",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict),
        .target(
            name: "LiveKernel", dependencies: ["Wire", "Report", "LinuxCalls"],
            swiftSettings: strict),
        .target(
            name: "LoadGen",
            dependencies: [
                "Wire", "Conntrack", "Scenario", "Report", "LinuxCalls",
                .product(name: "RealModule", package: "swift-numerics"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict),
        .target(name: "Fuzz", dependencies: ["Wire"], swiftSettings: strict),
        .target(
            name: "Verify",
            dependencies: [
                "Wire", "Conntrack", "Scenario", "Report", "Replay", "LiveKernel", "Fuzz",
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "ctlab",
            dependencies: [
                "Wire", "Conntrack", "Scenario", "Simulator", "Report", "Replay", "LinuxCalls",
                "LiveKernel", "Fuzz", "LoadGen", "Verify",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .target(name: "Captures", dependencies: ["Wire"], swiftSettings: strict),
        .executableTarget(
            name: "make-captures",
            dependencies: [
                "Captures", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "WireTests", dependencies: ["Wire"], exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "ConntrackTests", dependencies: ["Wire", "Conntrack"], exclude: ["Fixtures"],
            swiftSettings: strict),
        .testTarget(
            name: "ScenarioTests",
            dependencies: [
                "Wire", "Conntrack", "Scenario", .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ReplayTests",
            dependencies: [
                "Wire", "Conntrack", "Scenario", "Report", "Replay", "LinuxCalls", "Captures",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SimulatorTests",
            dependencies: ["Wire", "Conntrack", "Scenario", "Report", "Simulator", "Replay"],
            swiftSettings: strict),
        .testTarget(
            name: "LiveKernelTests",
            dependencies: [
                "Wire", "Scenario", "Report", "LinuxCalls", "LiveKernel", "Verify", "ctlab",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LoadGenTests",
            dependencies: [
                "Wire", "Conntrack", "Scenario", "LinuxCalls", "LoadGen",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "VerifyTests",
            dependencies: ["Wire", "Conntrack", "Scenario", "Report", "Fuzz", "Verify"],
            swiftSettings: strict),
        .testTarget(name: "FuzzTests", dependencies: ["Fuzz"], swiftSettings: strict),
        .testTarget(
            name: "CommandTests",
            dependencies: ["ctlab", "Captures", "LoadGen", "LinuxCalls", "Wire"],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ]
)
