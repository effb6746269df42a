package import Foundation

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
        package let length: Int
        let seconds: Int
        let nanoseconds: Int
        let number: UInt64

        fileprivate init(_ status: stat) {
            length = Int(status.st_size)
            (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
            number = UInt64(status.st_ino)
        }

        /// What a file may keep of it.
        package var numbers: [Int] { [length, seconds, nanoseconds, Int(bitPattern: UInt(number))] }

        /// nil for numbers that are none.
        package init?(_ numbers: [Int]) {
            guard numbers.count == 4 else { return nil }
            (length, seconds, nanoseconds) = (numbers[0], numbers[1], numbers[2])
            number = UInt64(UInt(bitPattern: numbers[3]))
        }
    }

    /// Without opening it, links followed.
    ///
    /// - Throws: `Failure(.io)` when it cannot be looked at
    package static func identity(of path: String) throws -> Identity {
        var status = stat()
        guard Files.withPath(path, { stat($0, &status) }) == 0 else { throw Failure.system("cannot look at", path) }
        return Identity(status)
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
        identity = Identity(status)
        length = identity.length
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
            let step = pread(descriptor, buffer.start + done, buffer.count - done, off_t(offset + done))
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
