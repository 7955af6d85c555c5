import Glibc

// Every bar of the performance page that the table can show, with the figure of this machine.
//
//   bench                     all of them
//   bench new|random|lives|masquerade|bytes|allocations|collector|path|events …
//   bench full                50 million connections (8 GB)
//   bench gate                allocations and bytes per connection; fails where too many
//   bench steady N            work of a fixed size, for counting instructions
//   bench make-capture FILE N a capture of N packets

let words = Array(CommandLine.arguments.dropFirst())

switch words.first {
case "make-capture" where words.count == 3:
    guard let count = Int(words[2]) else { exit(2) }
    exit(CaptureGenerator.write(to: words[1], packetCount: count) ? 0 : 1)
case "gate": exit(gateHolds() ? 0 : 1)
case "steady" where words.count == 2:
    guard let count = Int(words[1]) else { exit(2) }
    steadyWork(count)
    exit(0)
default: break
}

let parts: [(name: String, run: () -> Void)] = [
    (
        "new",
        {
            newConnections(.oneAtATime, bar: 300)
            newConnections(.batches, bar: 150)
        }
    ),
    (
        "random",
        {
            establishedConnections(.oneAtATime, bar: 300, hotBar: 60)
            establishedConnections(.batches, bar: 90, hotBar: nil)
        }
    ),
    (
        "lives",
        {
            wholeLives(.oneAtATime, bar: 2000)
            wholeLives(.batches, bar: 2000)
        }
    ),
    ("masquerade", masqueraded),
    ("bytes", bytesEach),
    ("allocations", allocations),
    ("collector", collector),
    ("path", wholePath),
    ("events", eventQueue),
    ("full", fiftyMillion),
]
let unknown = words.filter { word in !parts.contains { $0.name == word } }
guard unknown.isEmpty else {
    print("bench: no part '\(unknown[0])'")
    exit(2)
}
print("load of the machine: \(machineLoad())")
for part in parts where words.isEmpty ? part.name != "full" : words.contains(part.name) {
    part.run()
}
if words.isEmpty { print("50 M connections: make bench-full") }
print("load of the machine: \(machineLoad())")
