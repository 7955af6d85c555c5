internal import LinuxCalls

/// The system's own tools, which have to be there.
struct LabTools {
    private let nftables: Program
    private let iproute: Program
    private let traffic: Program?

    init() throws(LabError) {
        guard let nftables = Program(named: "nft") else {
            throw .unavailable("there is no nft", remedy: "install the package nftables")
        }
        guard let iproute = Program(named: "ip") else {
            throw .unavailable("there is no ip", remedy: "install the package iproute2")
        }
        self.nftables = nftables
        self.iproute = iproute
        traffic = Program(named: "tc")
    }

    func ip(_ arguments: [String], input: String = "") throws(LabError) {
        try run(iproute, arguments, input)
    }

    func ip(_ lines: String) throws(LabError) { try run(iproute, ["-batch", "-"], lines) }

    /// Loads a ruleset; an empty one is none.
    func nft(_ ruleset: String) throws(LabError) {
        if !ruleset.isEmpty { try run(nftables, ["-f", "-"], ruleset) }
    }

    func tc(_ arguments: [String]) throws(LabError) {
        guard let traffic else {
            throw .unavailable("there is no tc", remedy: "install the package iproute2")
        }
        try run(traffic, arguments, "")
    }

    private func run(
        _ program: Program, _ arguments: [String], _ input: String
    ) throws(LabError) {
        let outcome: Program.Outcome
        do throws(SystemCallError) {
            outcome = try program.run(arguments, input: input)
        } catch {
            throw .call(error)
        }
        guard outcome.exitCode == 0 else {
            throw .refused(program: program.path, outcome.errors)
        }
    }
}
