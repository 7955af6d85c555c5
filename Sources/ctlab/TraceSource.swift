import LinuxCalls
import Wire

/// The bytes of a capture, until somebody interrupts.
///
/// The capture reader asks for a quarter of a megabyte at a time; before each the signals are
/// looked at, so that packets are not. A class, because the reader copies its source.
final class TraceSource: ByteSource {
    private var file: InputFile
    private let interruption: Interruption?

    /// Opens the file at `path`; `-` is standard input.
    init(_ path: String) throws {
        file = try InputFile(opening: path)
        interruption = Interruption()
    }

    func read(into buffer: inout MutableSpan<UInt8>, at offset: Int) throws -> Int {
        try interruption?.wait(forInput: file.descriptor)
        return try file.read(into: &buffer, at: offset)
    }
}
