import Foundation
package import Synchronization

/// The terminal, a log or a pipe: what people read goes to standard error, results go to standard output.
package enum Console {
    /// Whether this is one of several processes of which another speaks; it says only what ends it.
    package static let isMuted = Atomic<Bool>(false)

    /// Takes what standard error could not: a run keeps it in its folder.
    package static let lost = Mutex<(@Sendable (String) -> Void)?>(nil)

    /// Writes to standard error; a log that is full or closed ends nothing.
    package static func tell(_ text: String) {
        guard !write(text, to: STDERR_FILENO) else { return }
        lost.withLock { $0 }?(text)
    }

    /// Writes a line of the answer to standard output.
    ///
    /// - Throws: `Failure(.io)` when it cannot be written; `ClosedPipe` when its reader is gone
    package static func answer(_ line: String) throws {
        if isMuted.load(ordering: .relaxed) { return }
        guard !write(line + "\n", to: STDOUT_FILENO) else { return }
        if errno == EPIPE { throw ClosedPipe() }
        throw Failure.system("cannot write", "standard output")
    }

    /// The reader of standard output (`head`, say) has all it wanted.
    package struct ClosedPipe: Error {}

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let step = Foundation.write(descriptor, bytes.start + done, bytes.count - done)
                if step >= 0 {
                    done += step
                } else if errno == EAGAIN {
                    var slot = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    guard poll(&slot, 1, 10_000) > 0 else { return false }
                } else if errno != EINTR {
                    return false
                }
            }
            return true
        }
    }
}

/// A line for people, on standard error.
package func say(_ text: String) {
    if !Console.isMuted.load(ordering: .relaxed) { Console.tell(text + "\n") }
}
