package import Foundation

/// Files are written to a temporary name in the same folder, synced and renamed: whole or not at all.
package enum AtomicFile {
    /// What every temporary name ends with.
    package static let temporarySuffix = ".diptych.tmp"

    /// A name that nobody can guess, so that nobody can put a link there.
    static func temporaryName(_ path: String) -> String {
        path + "." + String(UInt64.random(in: 1 << 60 ... .max), radix: 36) + temporarySuffix
    }

    /// Whether a name is one that a process left behind when it was killed.
    package static func isLeftOver(_ name: String) -> Bool {
        guard name.hasSuffix(temporarySuffix) else { return false }
        let digits = name.dropLast(temporarySuffix.count).split(separator: ".").last ?? ""
        return digits.count > 10 && UInt64(digits, radix: 36) != nil
    }

    /// - Throws: `Failure(.io)` naming the path.
    package static func write(_ data: Data, to path: String) throws {
        try write(to: path) { handle in try handle.write(contentsOf: data) }
    }

    package static func write(_ text: String, to path: String) throws { try write(Data(text.utf8), to: path) }

    /// Streams into the temporary file; it is removed when `body` throws.
    ///
    /// A device or a pipe is written to as it is; a link is replaced, not followed.
    package static func write(to path: String, _ body: (FileHandle) throws -> Void) throws {
        if Files.exists(path), !Files.isFile(path), !Files.isFolder(path) { return try writeThrough(path, body) }
        let temporary = temporaryName(path)
        let descriptor = Files.withPath(temporary) {
            open($0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        }
        guard descriptor >= 0 else { throw Failure.system("cannot write", path) }
        var isOpen = true
        do {
            try body(FileHandle(fileDescriptor: descriptor, closeOnDealloc: false))
            guard fsync(descriptor) == 0 else { throw Failure.system("cannot sync", path) }
            isOpen = false
            guard close(descriptor) == 0 else { throw Failure.system("cannot write", path) }
            guard Files.rename(temporary, to: path) else { throw Failure.system("cannot rename into place", path) }
        } catch {
            if isOpen { close(descriptor) }
            _ = Files.withPath(temporary) { unlink($0) }
            throw error as? Failure ?? Failure.writing(path, error)
        }
        try syncFolder(Files.parent(of: path))
    }

    private static func writeThrough(_ path: String, _ body: (FileHandle) throws -> Void) throws {
        let descriptor = Files.withPath(path) { open($0, O_WRONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Failure.system("cannot write", path) }
        defer { close(descriptor) }
        do { try body(FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)) } catch {
            throw error as? Failure ?? Failure.writing(path, error)
        }
    }

    /// A folder written under a temporary name and renamed when complete.
    ///
    /// - Throws: `Failure(.usage)` for a path that names no entry of a folder, such as "."; what `body` throws
    package static func writeFolder(_ path: String, _ body: (String) throws -> Void) throws {
        let path = plain(path)
        guard ![".", "..", "", "/"].contains(Files.name(of: path)) else {
            throw Failure(.usage, path, "cannot be made whole or not at all", remedy: "Name a new folder in it")
        }
        let temporary = temporaryName(path)
        do {
            try Files.makeFolder(temporary)
            try body(temporary)
            try syncFolder(temporary)
            try replace(path, with: temporary)
        } catch {
            try? Files.remove(temporary)
            throw error
        }
        try syncFolder(Files.parent(of: path))
    }

    /// Without separators at its end.
    private static func plain(_ path: String) -> String {
        var path = path
        while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        return path
    }

    private static func replace(_ path: String, with temporary: String) throws {
        let old = temporaryName(path)
        let isThere = Files.exists(path)
        if isThere, !Files.rename(path, to: old) { throw Failure.system("cannot replace", path) }
        guard Files.rename(temporary, to: path) else {
            let failure = Failure.system("cannot rename into place", path)
            if isThere { _ = Files.rename(old, to: path) }
            throw failure
        }
        if isThere { try? Files.remove(old) }
    }

    /// Takes a folder away from its name at once, and then its contents: what is half removed never bears the name.
    package static func removeFolder(_ path: String) throws {
        let old = temporaryName(path)
        guard Files.rename(path, to: old) else { throw Failure.system("cannot remove", path) }
        try Files.remove(old)
    }

    /// Removes what processes that were killed have left in a folder that no other process writes to.
    package static func removeLeftOvers(in folder: String) throws {
        for name in try Files.names(in: folder) where isLeftOver(name) { try Files.remove(folder + "/" + name) }
    }

    private static func syncFolder(_ path: String) throws {
        let descriptor = Files.withPath(path.isEmpty ? "." : path) { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Failure.system("cannot sync the folder", path) }
        defer { close(descriptor) }
        // Some file systems have no sync of folders.
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
            throw Failure.system("cannot sync the folder", path)
        }
    }
}

extension Failure {
    /// A failed write through Foundation, with the system's own words.
    package static func writing(_ path: String, _ error: any Error) -> Failure {
        let inner = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
        let words =
            inner.domain == NSPOSIXErrorDomain
            ? String(cString: strerror(Int32(inner.code))) : error.localizedDescription
        return Failure(.io, path, "cannot write: \(words)")
    }

    /// A failed system call, with the system's own words (errno is read at once).
    package static func system(_ problem: String, _ path: String) -> Failure {
        let code = errno
        return Failure(.io, path, "\(problem): \(String(cString: strerror(code)))")
    }
}
