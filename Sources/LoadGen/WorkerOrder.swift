internal import FoundationEssentials
internal import LinuxCalls

// What passes between the processes of a run: one line of JSON each way.

/// What a worker process is told at its start.
public struct WorkerOrder: Sendable, Codable {
    public var plan: Plan
    /// The run's start on the machine's monotonic clock.
    public var origin: UInt64
    public var slotCount: Int
    /// The processor it stays on; `nil` leaves that to the system.
    public var processor: Int?
    /// By what right the plan's targets are loaded; the worker asks the gate again.
    public var claim: LoadClaim

    public init(
        plan: Plan, origin: UInt64, slotCount: Int, processor: Int?, claim: LoadClaim
    ) {
        self.claim = claim
        self.plan = plan
        self.origin = origin
        self.slotCount = slotCount
        self.processor = processor
    }
}

/// A value as a line, and back.
public enum WorkerLine {
    public static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // Plain numbers and texts always encode; an infinite one has been refused long before.
        guard let data = try? encoder.encode(value) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }

    public static func value<Value: Decodable>(_ type: Value.Type, _ line: String) -> Value? {
        try? JSONDecoder().decode(type, from: Data(line.utf8))
    }
}
