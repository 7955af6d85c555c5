internal import Glibc

/// Small text files as /proc has them.
public enum TextFile {
    /// The whole text of the file at `path`.
    public static func read(_ path: String) throws(SystemCallError) -> String {
        let file = try FileDescriptor(opening: path, for: .read)
        return String(decoding: try file.readAll(), as: UTF8.self)
    }

    /// Writes `text` with one call, as sysctl files want it.
    public static func write(_ text: String, to path: String) throws(SystemCallError) {
        let file = try FileDescriptor(opening: path, for: .write)
        try file.write(Array(text.utf8).span)
    }

    public static func exists(_ path: String) -> Bool {
        unsafe access(path, F_OK) == 0
    }

    public static func isExecutable(_ path: String) -> Bool {
        unsafe access(path, X_OK) == 0
    }

    /// Removes the file; it is no error if there is none.
    public static func remove(_ path: String) throws(SystemCallError) {
        do throws(SystemCallError) {
            try checked("unlink", path) { unsafe unlink(path) }
        } catch {
            guard error.isMissing else { throw error }
        }
    }

    /// Makes one directory, for its owner only; it is no error if it is there.
    public static func makeDirectory(_ path: String) throws(SystemCallError) {
        do throws(SystemCallError) {
            try checked("mkdir", path) { unsafe mkdir(path, 0o700) }
        } catch {
            guard error.code == EEXIST else { throw error }
        }
    }
}

/// Kernel settings by their dotted names: `net.ipv4.ip_forward`.
///
/// A name is looked up in the network namespace the calling thread is in.
public enum SysctlFile {
    public static func path(of name: String) -> String {
        "/proc/sys/" + String(name.map { $0 == "." ? "/" : $0 == "/" ? "." : $0 })
    }

    public static func exists(_ name: String) -> Bool { TextFile.exists(path(of: name)) }

    /// The value without the newline behind it.
    public static func read(_ name: String) throws(SystemCallError) -> String {
        let text = try TextFile.read(path(of: name))
        return String(text.prefix { $0 != "\n" })
    }

    public static func write(_ name: String, _ value: String) throws(SystemCallError) {
        try TextFile.write(value + "\n", to: path(of: name))
    }
}
