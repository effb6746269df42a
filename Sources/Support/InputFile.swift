import Foundation

/// An open regular file, read at offsets: several threads may read at once.
///
/// Not mapped, because a mapped file that is cut while it is read ends the process.
package final class InputFile: Sendable {
    package let path: String
    /// Bytes, when it was opened.
    package let length: Int
    /// Size, time of change and number: whether a path still names the same file.
    package let identity: Identity
    private let descriptor: Int32

    /// What of a file changes when another is put in its place.
    package struct Identity: Equatable, Sendable {
        let length: Int
        let seconds: Int
        let nanoseconds: Int
        let number: UInt64
    }

    /// - Throws: `Failure(.inputMissing)` when there is none, `Failure(.badData)` when it is no regular file,
    ///   `Failure(.io)` when it cannot be opened.
    package init(_ path: String) throws {
        self.path = path
        // Without O_NONBLOCK opening a pipe would wait for its writer.
        descriptor = Files.withPath(path) { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { throw Failure(.inputMissing, path, "no such file") }
            throw Failure.system("cannot open", path)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let failure = Failure.system("cannot look at", path)
            close(descriptor)
            throw failure
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            let what = status.st_mode & S_IFMT == S_IFDIR ? "is a folder, a file is needed" : "is no regular file"
            throw Failure(.badData, path, what)
        }
        length = Int(status.st_size)
        identity = Identity(
            length: length, seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec,
            number: UInt64(status.st_ino))
    }

    deinit { close(descriptor) }

    /// - Throws: `Failure(.io)` when the system cannot read, or the file has become shorter.
    package func read(_ offset: Int, _ count: Int) throws -> Data {
        var data = Data(count: count)
        try data.withUnsafeMutableBytes { try read(offset, into: $0) }
        return data
    }

    /// Fills the buffer from a place in the file.
    package func read(_ offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        var done = 0
        while done < buffer.count {
            let step = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
            if step < 0, errno == EINTR { continue }
            guard step >= 0 else { throw Failure.system("cannot read", path) }
            guard step > 0 else {
                throw Failure(.io, path, "ends before byte \(offset + buffer.count): it became shorter while in use")
            }
            done += step
        }
    }

    /// - Throws: as `read`
    package func readAll() throws -> Data { try read(0, length) }
}

/// Reads a whole file.
///
/// - Throws: `Failure(.inputMissing)` when there is none, `Failure(.badData)` when it is no regular file,
///   `Failure(.io)` when it cannot be read.
package func readFile(_ path: String) throws -> Data { try InputFile(path).readAll() }
