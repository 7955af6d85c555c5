import Glibc
public import Wire

/// Why a gzip stream cannot be read any further.
public struct GzipError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was found and what was expected.
    public var text: String

    public var description: String { "gzip: \(text)" }
}

/// A file or standard input, decompressed where it is gzip.
///
/// What it is shows in its first two bytes. A class, because a descriptor has one owner and readers
/// copy their source.
public final class InputFile: ByteSource {
    private let descriptor: Int32
    private let name: String
    private let interruption: Interruption?
    /// Bytes read from the descriptor and not handed on: `position..<end`.
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)
    private var position = 0
    private var end = 0
    private var inflater: Inflater?
    private var isFirst = true

    /// Opens the file at `path`; `-` is standard input.
    ///
    /// With `interruption`, a read that would have to wait ends with `Interrupted` instead, once
    /// somebody asked for that.
    public init(
        opening path: String, interruption: consuming Interruption? = nil
    ) throws(SystemCallError) {
        if path == "-" {
            descriptor = STDIN_FILENO
            name = "standard input"
        } else {
            descriptor = try checked("open", path) { unsafe open(path, O_RDONLY | O_CLOEXEC) }
            name = path
        }
        self.interruption = interruption
    }

    deinit { if descriptor != STDIN_FILENO { _ = close(descriptor) } }

    public func read(into target: inout MutableSpan<UInt8>, at offset: Int) throws -> Int {
        if isFirst {
            isFirst = false
            try readAhead(atLeast: 2)
            if end - position >= 2, buffer[position] == 0x1f, buffer[position + 1] == 0x8b {
                inflater = Inflater()
            }
        }
        guard let inflater else { return try copy(into: &target, at: offset) }
        while true {
            if position == end, try readMore() == 0 {
                if inflater.isAtStart { return 0 }
                throw GzipError(text: "found the end of the file, expected more of the stream")
            }
            // Behind a whole member may stand another, or padding.
            if inflater.isAtStart, inflater.hasMember, buffer[position] != 0x1f { return 0 }
            let (used, written) = try inflater.inflate(
                buffer, position..<end, into: &target, at: offset)
            position += used
            if written > 0 { return written }
            if used == 0 {
                throw GzipError(
                    text: "found bytes that say nothing, expected more of the stream")
            }
        }
    }

    /// Hands on what was read ahead, or reads.
    private func copy(into target: inout MutableSpan<UInt8>, at offset: Int) throws -> Int {
        if position < end {
            let count = min(end - position, target.count - offset)
            for index in 0..<count { target[offset &+ index] = buffer[position &+ index] }
            position += count
            return count
        }
        try interruption?.wait(forInput: descriptor)
        let descriptor = descriptor
        return try checked("read", name) {
            unsafe target.withUnsafeMutableBytes { bytes in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
                return unsafe Glibc.read(descriptor, room.baseAddress, room.count)
            }
        }
    }

    /// Reads until `byteCount` bytes are there, or the file is at its end.
    private func readAhead(atLeast byteCount: Int) throws {
        while end < byteCount {
            let count = try readMore()
            if count == 0 { return }
        }
    }

    /// Reads behind what is in the buffer, which is emptied first where it was handed on.
    private func readMore() throws -> Int {
        if position == end {
            position = 0
            end = 0
        }
        try interruption?.wait(forInput: descriptor)
        let (descriptor, start) = (descriptor, end)
        let count = try checked("read", name) {
            unsafe buffer.withUnsafeMutableBytes { bytes in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
                return unsafe Glibc.read(descriptor, room.baseAddress, room.count)
            }
        }
        end += count
        return count
    }
}
