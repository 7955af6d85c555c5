// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the product carries nothing for benchmarks.
let package = Package(
    name: "Benchmarks",
    dependencies: [.package(name: "ctlab", path: "..")],
    targets: [
        .executableTarget(
            name: "bench",
            dependencies: [
                .product(name: "Conntrack", package: "ctlab"),
                .product(name: "ReplayKit", package: "ctlab"),
                .product(name: "Simulator", package: "ctlab"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)])
    ]
)
