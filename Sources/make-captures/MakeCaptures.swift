import ArgumentParser
import Captures
import Foundation

// Writes the captures that ship.

@main
struct MakeCaptures: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-captures",
        abstract: "Writes the captures that ship, the same bytes every time.",
        discussion: """
            EXAMPLE
              make-captures scenarios/captures
            """)

    @Argument(help: "The folder to write to.")
    var folder: String

    func run() throws {
        for trace in Trace.all {
            let file = URL(filePath: folder).appending(path: trace.name + ".pcap")
            try Data(trace.pcap).write(to: file)
            print("\(file.relativePath): \(trace.packetCount) packets. \(trace.about)")
        }
    }
}
