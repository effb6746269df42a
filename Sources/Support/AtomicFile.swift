import Foundation

/// Files are written to a temporary name in the same folder, synced and renamed: whole or not at all.
public enum AtomicFile {
    /// - Throws: `Failure(.io)` naming the path.
    public static func write(_ data: Data, to path: String) throws {
        try write(to: path) { handle in try handle.write(contentsOf: data) }
    }

    public static func write(_ text: String, to path: String) throws { try write(Data(text.utf8), to: path) }

    /// Streams into the temporary file; it is removed when `body` throws.
    public static func write(to path: String, _ body: (FileHandle) throws -> Void) throws {
        let temporary = "\(path).\(getpid()).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw Failure.system("cannot write", path) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)
        do {
            try body(handle)
            guard fsync(descriptor) == 0 else { throw Failure.system("cannot sync", path) }
            close(descriptor)
            guard rename(temporary, path) == 0 else { throw Failure.system("cannot rename into place", path) }
            syncFolder((path as NSString).deletingLastPathComponent)
        } catch let failure as Failure {
            close(descriptor)
            unlink(temporary)
            throw failure
        } catch {
            close(descriptor)
            unlink(temporary)
            throw Failure(.io, path, "cannot write: \(error.localizedDescription)")
        }
    }

    /// A folder written under a temporary name and renamed when complete.
    public static func writeFolder(_ path: String, _ body: (String) throws -> Void) throws {
        let temporary = "\(path).\(getpid()).tmp"
        try? FileManager.default.removeItem(atPath: temporary)
        try makeFolder(temporary)
        do { try body(temporary) } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw error
        }
        syncFolder(temporary)
        if FileManager.default.fileExists(atPath: path) {
            let old = "\(path).\(getpid()).old"
            guard rename(path, old) == 0 else { throw Failure.system("cannot replace", path) }
            defer { try? FileManager.default.removeItem(atPath: old) }
            guard rename(temporary, path) == 0 else { throw Failure.system("cannot rename into place", path) }
        } else {
            guard rename(temporary, path) == 0 else { throw Failure.system("cannot rename into place", path) }
        }
        syncFolder((path as NSString).deletingLastPathComponent)
    }

    public static func makeFolder(_ path: String) throws {
        do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
            throw Failure.system("cannot make the folder", path)
        }
    }

    private static func syncFolder(_ path: String) {
        let descriptor = open(path.isEmpty ? "." : path, O_RDONLY)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}

extension Failure {
    /// A failed system call, with the system's own words (errno is read at once).
    public static func system(_ problem: String, _ path: String) -> Failure {
        let code = errno
        return Failure(.io, path, "\(problem): \(String(cString: strerror(code)))")
    }
}

/// Reads a whole file; memory-maps it when large.
///
/// - Throws: `Failure(.inputMissing)` when there is none, `Failure(.io)` when it cannot be read.
public func readFile(_ path: String) throws -> Data {
    guard FileManager.default.fileExists(atPath: path) else {
        throw Failure(.inputMissing, path, "no such file")
    }
    do { return try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) } catch {
        throw Failure(.io, path, "cannot read: \(error.localizedDescription)")
    }
}
