import Conntrack
import Foundation
import LinuxCalls
import Report
import Scenario
import Simulator

/// What `ctlab run` writes when the run is over.
struct RunOutput {
    let file: ScenarioFile
    let format: RunCommand.Format
    let showsKernelLog: Bool
    let directory: String?

    /// FNV-1a over the file's text and what was set besides.
    var hash: String { Self.hash(of: file) }

    static func hash(of file: ScenarioFile) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        let text = file.text + file.overrides.map { "\n\($0)" }.joined()
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    func write(_ run: inout Simulator.Run, _ summary: RunSummary) throws {
        switch format {
        case .text: try print(RunText(summary, isColoured: isColoured).text)
        case .json: try print(json(summary))
        case .jsonl: try printRows { run.recorded.writeObjects($0) }
        case .csv: try printRows { run.recorded.writeRows($0) }
        case .openmetrics: try print(RunOpenMetrics.text(summary))
        }
        for listing in run.listings { try printTable(listing, isAlone: false) }
        if showsKernelLog {
            for log in run.kernelLogs where !log.lines.isEmpty {
                try print("\n$ dmesg  # \(log.node)\n")
                try print(log.lines.map { $0.dmesg + "\n" }.joined())
            }
        }
        if let directory { try writeDirectory(directory, &run, summary) }
    }

    private var isColoured: Bool {
        let wish = ProcessInfo.processInfo.environment["NO_COLOR"] ?? ""
        return wish.isEmpty && StandardStream.output.isTerminal
    }

    private func json(_ summary: RunSummary) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(summary), as: UTF8.self) + "\n"
    }

    // MARK: Standard output

    private func print(_ text: String) throws { try Output.write(text) }

    private func printRows(_ rows: ((String) -> Void) -> Void) throws {
        var gathered = ""
        rows { gathered += $0 }
        try print(gathered)
    }

    private func printTable(_ listing: TableListing, isAlone: Bool) throws {
        let time = NumberText.seconds(listing.at.nanoseconds)
        try print("\n$ conntrack -L  # \(listing.node) at \(time) s\n" + Self.table(listing))
    }

    private static func table(_ listing: TableListing) -> String {
        let base = TimeBase(tickRate: listing.tickRate, epochNanoseconds: 0)
        let lines = Listing(base)
        return listing.entries.map { lines.line($0, at: listing.at) + "\n" }.joined()
    }

    // MARK: A folder

    private func writeDirectory(
        _ path: String, _ run: inout Simulator.Run, _ summary: RunSummary
    ) throws {
        let folder = URL(filePath: path)
        do {
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true)
            try write(json(summary), to: folder, "summary.json")
            try write(run.recorded.csv, to: folder, "series.csv")
            try writeEvents(of: &run, to: folder)
            var tables = ""
            let listings = run.tables()
            for listing in listings {
                if listings.count > 1 { tables += "# \(listing.node)\n" }
                tables += Self.table(listing)
            }
            try write(tables, to: folder, "conntrack.txt")
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(code: .failed, text: "--out \(path): \(error.localizedDescription)")
        }
    }

    private func writeEvents(of run: inout Simulator.Run, to folder: URL) throws {
        let place = folder.appending(path: "events.jsonl")
        try Data().write(to: place)
        let file = try FileHandle(forWritingTo: place)
        defer { try? file.close() }
        var problem: (any Error)?
        run.writeEvents { bytes in
            guard problem == nil else { return }
            do {
                try file.write(contentsOf: bytes)
            } catch {
                problem = error
            }
        }
        if let problem { throw problem }
    }

    private func write(_ text: String, to folder: URL, _ name: String) throws {
        try Data(text.utf8).write(to: folder.appending(path: name))
    }
}

/// Files that captures go to.
///
/// A class, because the run writes to them while the command holds them.
final class CaptureFiles {
    private var files: [FileHandle] = []
    private var problem: String?

    func open(_ path: String) throws -> Int {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw Failure(code: .failed, text: "--pcap: cannot write '\(path)'") }
        files.append(handle)
        return files.count - 1
    }

    func write(_ bytes: [UInt8], to file: Int) {
        do {
            try files[file].write(contentsOf: bytes)
        } catch {
            problem = problem ?? "\(error)"
        }
    }

    func close() throws {
        for file in files { try? file.close() }
        if let problem { throw Failure(code: .failed, text: "--pcap: \(problem)") }
    }
}
