import Foundation

/// The lines of standard input as they come, ended by LF or CRLF alone.
package struct StandardInput {
    private var buffer: [UInt8] = []
    private var start = 0
    private var isOver = false
    private var number = 0

    package init() {}

    /// The next line; nil at the end.
    ///
    /// - Throws: `Failure(.badData)` for a line that is no UTF-8, `Failure(.io)` when it cannot be read
    package mutating func next() throws -> String? {
        var seen = start
        while true {
            if let end = buffer[seen...].firstIndex(of: 0x0A) { return try take(end, next: end + 1) }
            seen = buffer.count
            if isOver { return start < buffer.count ? try take(buffer.count, next: buffer.count) : nil }
            if start > 0 {
                buffer.removeFirst(start)
                (seen, start) = (seen - start, 0)
            }
            try fill()
        }
    }

    private mutating func fill() throws {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(STDIN_FILENO, &chunk, chunk.count)
        if count < 0, errno == EINTR { return }
        guard count >= 0 else { throw Failure.system("cannot read", "standard input") }
        isOver = count == 0
        buffer += chunk[..<count]
    }

    private mutating func take(_ end: Int, next: Int) throws -> String {
        number += 1
        var line = buffer[start..<end]
        start = next
        if number == 1, line.starts(with: [0xEF, 0xBB, 0xBF]) { line = line.dropFirst(3) }
        guard let text = String(validating: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self) else {
            throw Failure(.badData, "standard input:\(number)", "the line is no UTF-8")
        }
        return text
    }
}
