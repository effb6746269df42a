import Foundation

/// The file system by the bytes of its names; every failure is typed.
package enum Files {
    /// Calls with the path as the system takes it.
    package static func withPath<Value>(_ path: String, _ body: (UnsafePointer<CChar>) throws -> Value) rethrows
        -> Value
    {
        try (path.nameBytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { try body($0.start) }
    }

    private static func status(_ path: String) -> stat? {
        var status = stat()
        return withPath(path) { stat($0, &status) } == 0 ? status : nil
    }

    /// Whether something stands there, links followed.
    package static func exists(_ path: String) -> Bool { status(path) != nil }

    /// Links are followed.
    package static func isFolder(_ path: String) -> Bool {
        status(path).map { $0.st_mode & S_IFMT == S_IFDIR } ?? false
    }

    /// A regular file, links followed: no FIFO, device or folder.
    package static func isFile(_ path: String) -> Bool { status(path).map { $0.st_mode & S_IFMT == S_IFREG } ?? false }

    /// What tells a folder from others, to know when links lead in a circle.
    struct Identity: Hashable {
        let device: UInt64
        let number: UInt64
    }

    static func identity(_ path: String) -> Identity? {
        status(path).map { Identity(device: UInt64($0.st_dev), number: UInt64($0.st_ino)) }
    }

    /// The names in a folder, sorted bytewise, "." and ".." left out.
    ///
    /// - Throws: `Failure(.inputMissing)` or `Failure(.io)`
    package static func names(in folder: String) throws -> [String] {
        guard let handle = withPath(folder.isEmpty ? "." : folder, { opendir($0) }) else {
            if errno == ENOENT { throw Failure(.inputMissing, folder, "no such folder") }
            throw Failure.system("cannot list", folder)
        }
        defer { closedir(handle) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(handle) else {
                guard errno == 0 else { throw Failure.system("cannot list", folder) }
                break
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }.map { String(nameBytes: $0) }
    }

    /// Makes a folder and those above it; one that stands already is right.
    package static func makeFolder(_ path: String) throws {
        if path.isEmpty || isFolder(path) { return }
        let above = parent(of: path)
        if above != path { try makeFolder(above) }
        guard withPath(path, { mkdir($0, 0o755) }) == 0 || errno == EEXIST && isFolder(path) else {
            throw Failure.system("cannot make the folder", path)
        }
    }

    /// Removes a file, a link or a folder with all it holds; nothing there is right. Links are never followed.
    package static func remove(_ path: String) throws {
        if withPath(path, { unlink($0) }) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM || errno == ENOTEMPTY else {
            throw Failure.system("cannot remove", path)
        }
        for name in try names(in: path) { try remove(path + "/" + name) }
        guard withPath(path, { rmdir($0) }) == 0 || errno == ENOENT else { throw Failure.system("cannot remove", path) }
    }

    /// Replaces what stands at `target`. False where the system refuses, with `errno` as it left it.
    package static func rename(_ path: String, to target: String) -> Bool {
        withPath(path) { old in withPath(target) { Foundation.rename(old, $0) } } == 0
    }

    /// The path with links, "." and ".." resolved; as it is where it cannot be.
    package static func canonical(_ path: String) -> String {
        guard let resolved = withPath(path, { realpath($0, nil) }) else { return path }
        defer { free(resolved) }
        return String(nameBytes: UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
    }

    /// What stands before the last separator; empty when there is none.
    package static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
        return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
    }

    /// What stands after the last separator.
    package static func name(of path: String) -> String {
        path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) } ?? path
    }

    /// The name's suffix in lower case, without its dot; empty when there is none.
    package static func suffix(of path: String) -> String {
        let name = name(of: path)
        guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")), dot != name.utf8.startIndex else { return "" }
        return String(name[name.utf8.index(after: dot)...]).lowercased()
    }

    /// The path without its name's suffix.
    package static func withoutSuffix(_ path: String) -> String {
        let count = suffix(of: path).utf8.count
        guard count > 0, let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")) else { return path }
        return String(path[..<dot])
    }

    /// A name for a file of ours, taken from a file that may come from anywhere: it must stay in its folder.
    ///
    /// - Throws: `Failure(.badData)` for separators, "..", hidden and empty names, and whatever is no plain name
    package static func inside(_ folder: String, _ name: String, of subject: String) throws -> String {
        let isPlain = name.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isPlain, !name.isEmpty, !name.hasPrefix("."), name.utf8.count <= 128 else {
            throw Failure(
                .badData, subject, "\"\(name.shownName)\" is no name of a file",
                remedy: "Letters, digits, \".\", \"_\" and \"-\" only, at most 128, not beginning with \".\"")
        }
        return folder + "/" + name
    }
}
