package import Foundation

/// The lines of a text file: ended by LF or CRLF, by nothing else.
package enum TextLines {
    /// UTF-8 texts of all lines, empty ones too, without what follows the last line end; a byte order mark is dropped.
    ///
    /// - Throws: `Failure(.badData)` naming the first line that is no UTF-8
    package static func read(_ path: String) throws -> [String] { try split(readFile(path), path: path) }

    /// - Parameter path: what errors name
    /// - Throws: `Failure(.badData)` for gzip, UTF-16, and the first line that is no UTF-8
    package static func split(_ data: Data, path: String) throws -> [String] {
        if Gzip.isGzip(data) {
            throw Failure(.badData, path, "is gzip, a text is needed", remedy: "Inflate it: gunzip")
        }
        if data.starts(with: [0xFF, 0xFE]) || data.starts(with: [0xFE, 0xFF]) {
            throw Failure(.badData, path, "is UTF-16", remedy: "Convert it: iconv -f utf-16 -t utf-8")
        }
        var texts: [String] = []
        for line in bytes(of: data) {
            guard let text = String(validating: line, as: UTF8.self) else {
                throw Failure(
                    .badData, "\(path):\(texts.count + 1)", "the line is no UTF-8",
                    remedy: "Convert the file, such as with iconv -f latin1 -t utf-8")
            }
            texts.append(text)
        }
        return texts
    }

    /// The same as bytes.
    package static func bytes(of data: Data) -> [Data.SubSequence] {
        var data = data
        if data.starts(with: [0xEF, 0xBB, 0xBF]) { data = data.dropFirst(3) }
        var lines = data.split(separator: 0x0A, omittingEmptySubsequences: false).map {
            $0.last == 0x0D ? $0.dropLast() : $0
        }
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
