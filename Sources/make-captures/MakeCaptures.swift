import ArgumentParser
import Captures
import Foundation

// Writes the captures that ship, and one of any length to measure with.

@main
struct MakeCaptures: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-captures",
        abstract: "Writes scenarios/captures/*.pcap, or one long capture.",
        discussion: """
            EXAMPLES
              make-captures scenarios/captures
              make-captures --packets 1000000 /tmp/million.pcap
            """)

    @Argument(help: "The folder for the captures, or with --packets the file.")
    var path: String

    @Option(help: "Write one capture of this many packets instead.")
    var packets: Int?

    func validate() throws {
        if let packets, packets < 1 {
            throw ValidationError("--packets: found \(packets), expected a number from 1 on")
        }
    }

    func run() throws {
        guard let packets else {
            for trace in Trace.all {
                let file = URL(filePath: path).appending(path: trace.name + ".pcap")
                try Data(trace.pcap).write(to: file)
                print("\(file.path): \(trace.packetCount) packets. \(trace.about)")
            }
            return
        }
        let file = URL(filePath: path)
        try Data().write(to: file)
        let handle = try FileHandle(forWritingTo: file)
        try LoadTrace(packetCount: packets).write { try handle.write(contentsOf: Data($0)) }
        try handle.close()
    }
}
