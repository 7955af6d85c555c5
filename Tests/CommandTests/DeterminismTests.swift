import Foundation
import Testing

/// The same file, seed and version give the same bytes; `scripts/goldens --check` holds it for whole
/// runs, this for the beginning of every one.
@Suite struct DeterminismTests {
    static let scenarios: [String] = {
        let folder = Command.root.appending(path: "scenarios").path
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
    }()

    static let outputs = ["summary.json", "series.csv", "events.jsonl", "conntrack.txt"]

    @Test("a scenario run in two processes writes the same bytes", arguments: scenarios)
    func repeats(_ name: String) throws {
        let scratch = try Scratch()
        var texts: [String] = []
        var folders: [URL] = []
        for number in 0..<2 {
            let folder = scratch.folder.appending(path: "\(number)")
            let run = try Command.run([
                "run", "scenarios/\(name).yaml", "--until", "1500ms", "--quiet", "--out",
                folder.path,
            ])
            // So early expectations may fail; nothing else may.
            #expect([0, 3].contains(run.status), "\(run.error)")
            texts.append(run.output)
            folders.append(folder)
        }
        #expect(texts[0] == texts[1])
        #expect(texts[0].hasPrefix("\(name): "))
        for output in Self.outputs {
            let files = try folders.map { try Data(contentsOf: $0.appending(path: output)) }
            #expect(files[0] == files[1], "\(output)")
        }
    }

    @Test("that results are written to a folder changes nothing in the report")
    func observesOnly() throws {
        let scratch = try Scratch()
        let arguments = ["run", "scenarios/ndots-amplification.yaml", "--until", "5s", "--quiet"]
        let alone = try Command.run(arguments)
        let written = try Command.run(
            arguments + [
                "--out", scratch.folder.appending(path: "out").path, "--pcap",
                "small=" + scratch.folder.appending(path: "x.pcapng").path,
            ])
        #expect(alone.output == written.output)
    }
}
