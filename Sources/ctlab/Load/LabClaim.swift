import LinuxCalls
import LoadGen

/// The right to a lab's name: two of a name would remove each other's namespaces.
///
/// A run holds a locked file in /run/ctlab as long as it has its lab. A process that dies lets go
/// of the lock, and its namespaces stay: whoever takes a claim next removes them. A lab that
/// somebody has put up has a mark instead, and stays.
struct LabClaim: ~Copyable {
    private static let folder = "/run/ctlab"
    /// Stands as long as somebody has put a lab up, and may be using it.
    private static let mark = "\(folder)/lab-is-up"
    /// What the names of the locked files begin with; a lab's name follows.
    private static let prefix = "lab-"
    /// Held by whoever takes a claim, so that nobody takes another one for abandoned meanwhile.
    private static let gatePath = "\(folder)/labs"
    /// Nanoseconds others may take to remove what was abandoned.
    private static let patience: UInt64 = 30_000_000_000

    private let file: FileDescriptor

    /// Takes the name of `lab`, and removes what ended runs have left behind.
    ///
    /// - Parameter alternative: What else to do where another run has it, behind a comma.
    init(_ lab: Lab, alternative: String = "") throws {
        file = try Self.lock(lab, alternative)
    }

    private static func lock(_ lab: Lab, _ alternative: String) throws -> FileDescriptor {
        guard ProcessOwner.isRoot else {
            throw LabError.unavailable("network namespaces need root", remedy: "run with sudo")
        }
        try TextFile.makeDirectory(folder)
        let gate = try FileDescriptor(opening: gatePath, for: .create)
        let deadline = MonotonicClock.now() + patience
        while try !gate.tryLock() {
            guard MonotonicClock.now() < deadline else {
                throw Failure(
                    code: .environment,
                    text: "another run has been removing labs for long; see who holds "
                        + "\(gatePath): fuser \(gatePath)")
            }
            MonotonicClock.sleep(until: MonotonicClock.now() + 10_000_000)
        }
        let file = try FileDescriptor(opening: "\(folder)/\(prefix)\(lab.name)", for: .create)
        guard try file.tryLock() else {
            throw Failure(
                code: .environment,
                text: "another run has the lab '\(lab.name)'; wait for it to end\(alternative)")
        }
        removeAbandoned()
        _ = consume gate
        return file
    }

    /// Removes the labs whose lock nobody holds, and their files.
    private static func removeAbandoned() {
        for name in Directory.names(in: folder) where name.hasPrefix(prefix + "ctlab") {
            let path = "\(folder)/\(name)"
            let lab = Lab(name: String(name.dropFirst(prefix.count)))
            guard let file = try? FileDescriptor(opening: path, for: .readWrite),
                (try? file.tryLock()) == true
            else { continue }
            do {
                if lab.name != Lab().name || !isUp { try lab.down() }
                try TextFile.remove(path)
            } catch {
                Message.error("the lab '\(lab.name)' of a run that ended is left: \(error)")
            }
            _ = consume file
        }
    }

    /// Whether somebody has put a lab up.
    static var isUp: Bool { TextFile.exists(mark) }

    /// Marks the lab as one that stays; whoever does so holds its claim.
    borrowing func noteUp() throws {
        _ = try FileDescriptor(opening: Self.mark, for: .create)
    }

    /// The lab does not stay any more.
    borrowing func noteDown() throws { try TextFile.remove(Self.mark) }
}
