import Foundation
import Testing

/// The built command, run as a person would run it.
struct Command {
    var status: Int32
    var output: String
    var error: String

    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The command stands beside the tests' own program.
    static let program: URL = {
        let link = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        return URL(filePath: link ?? "").deletingLastPathComponent().appending(path: "ctlab")
    }()

    /// Runs the command to its end.
    static func run(_ arguments: [String], input: Data? = nil) throws -> Command {
        try run(program: program.path, arguments, input: input)
    }

    /// Runs any program to its end.
    static func run(program: String, _ arguments: [String], input: Data? = nil) throws -> Command {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.currentDirectoryURL = root
        // Tests of the lab and of the live kernel take turns.
        process.environment = [
            "PATH": "/usr/bin:/bin", "TERM": "xterm", "CTLAB_LEASE_SECONDS": "1800",
        ]
        let folder = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        // Files and not pipes: whatever the command says, it never has to wait for a reader.
        let places = ["input", "output", "error"].map { folder.appending(path: $0) }
        for place in places { try Data().write(to: place) }
        if let input { try input.write(to: places[0]) }
        process.standardInput = try FileHandle(forReadingFrom: places[0])
        process.standardOutput = try FileHandle(forWritingTo: places[1])
        process.standardError = try FileHandle(forWritingTo: places[2])
        try process.run()
        process.waitUntilExit()
        return Command(
            status: process.terminationStatus,
            output: String(decoding: try Data(contentsOf: places[1]), as: UTF8.self),
            error: String(decoding: try Data(contentsOf: places[2]), as: UTF8.self))
    }

    /// Runs `ctlab replay` on a shipped capture.
    static func replay(_ name: String, _ options: [String] = []) throws -> Command {
        try run(
            [
                "replay", "scenarios/captures/\(name).pcap", "--node",
                "scenarios/captures/\(name).node.yaml",
            ] + options)
    }
}

/// A folder that goes with the test.
struct Scratch: ~Copyable {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Writes a file, and returns its path.
    func file(_ name: String, _ data: Data) throws -> String {
        let place = folder.appending(path: name)
        try data.write(to: place)
        return place.path
    }
}

/// Arguments that are refused, and the sentence that says why: a row of a table of tests.
struct RefusedCall: CustomTestStringConvertible, Sendable {
    var arguments: [String]
    var status: Int32 = 2
    var sentence: String

    var testDescription: String { arguments.joined(separator: " ") }
}
