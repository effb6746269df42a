import Foundation
import Support

/// A table of image files and captions: comma, tab or semicolon, with a header line, quoted as RFC 4180 says and pandas
/// reads it. Plain or gzip.
///
/// A table is bytes: a comma or a quote counts whatever scalar follows it, rows end at LF, CR and CRLF, names need not be
/// UTF-8.
struct CaptionTable {
    struct Row {
        let file: String
        /// nil where the cell is no UTF-8.
        let caption: String?
    }

    let rows: [Row]

    /// - Parameter separator: nil takes the one by which the header holds both columns
    /// - Throws: `Failure(.badData)` naming file, line and column.
    init(_ path: String, separator: UInt8?, imageKey: String, captionKey: String) throws {
        var data = try Gzip.contents(of: path, limit: 4 << 30)
        if data.starts(with: [0xFF, 0xFE]) || data.starts(with: [0xFE, 0xFF]) {
            throw Failure(.badData, path, "is UTF-16", remedy: "Convert it: iconv -f utf-16 -t utf-8")
        }
        if data.starts(with: [0xEF, 0xBB, 0xBF]) { data = data.dropFirst(3) }
        guard !data.contains(0) else { throw Failure(.badData, path, "holds zero bytes: it is no table") }
        let bytes = Array(data)
        if let first = bytes.first(where: { $0 > 0x20 }), [UInt8(ascii: "{"), UInt8(ascii: "[")].contains(first) {
            throw Failure(.badData, path, "is JSON, no table", remedy: "Pass a COCO file with --coco")
        }
        let separator = try separator ?? Self.separator(of: bytes, path, imageKey, captionKey)
        let lines = try Self.parse(bytes, separator, path)
        guard let header = lines.first?.cells.map(Self.headerName) else { throw Failure(.badData, path, "is empty") }
        func column(_ name: String) throws -> Int {
            let places = header.indices.filter { header[$0].isSameName(as: name) }
            guard let place = places.first else {
                let hint =
                    didYouMean(name, among: header).map { "Did you mean \"\($0)\"?" }
                    ?? "Its columns are \(header.map { "\"\($0.shownName)\"" }.joined(separator: ", "))"
                throw Failure(.badData, "\(path):1", "has no column \"\(name)\"", remedy: hint)
            }
            guard places.count == 1 else { throw Failure(.badData, "\(path):1", "has the column \"\(name)\" twice") }
            return place
        }
        let (image, caption) = (try column(imageKey), try column(captionKey))
        let written = lines.dropFirst().filter { line in
            // pandas passes over blank lines
            line.cells.count > 1 || !line.cells[0].allSatisfy { $0 == 0x20 || $0 == 0x09 }
        }
        rows = try written.map { line in
            guard line.cells.count == header.count else {
                throw Failure(
                    .badData, "\(path):\(line.number)", "has \(line.cells.count) columns, the header \(header.count)",
                    remedy: "Put a cell that holds the separator in quotes")
            }
            return Row(
                file: String(nameBytes: line.cells[image]),
                caption: String(validating: line.cells[caption], as: UTF8.self))
        }
    }

    /// Blanks around a column's name are no part of it.
    private static func headerName(_ cell: [UInt8]) -> String {
        String(nameBytes: cell).trimmingCharacters(in: .whitespaces)
    }

    private static func separator(of bytes: [UInt8], _ path: String, _ image: String, _ caption: String) throws -> UInt8
    {
        let line = Array(bytes.drop { $0 == 0x0A || $0 == 0x0D }.prefix { $0 != 0x0A && $0 != 0x0D })
        let candidates = [UInt8(ascii: "\t"), UInt8(ascii: ","), UInt8(ascii: ";")]
        let fitting = candidates.filter { separator in
            let names = ((try? parse(line, separator, path))?.first?.cells ?? []).map(headerName)
            return names.contains { $0.isSameName(as: image) } && names.contains { $0.isSameName(as: caption) }
        }
        return fitting.first ?? candidates.first { line.contains($0) } ?? UInt8(ascii: ",")
    }

    /// Quoted cells may hold separators, line ends and doubled quotes. Empty lines are no rows.
    private static func parse(_ bytes: [UInt8], _ separator: UInt8, _ path: String) throws -> [(
        cells: [[UInt8]], number: Int
    )] {
        let quote = UInt8(ascii: "\"")
        var lines: [(cells: [[UInt8]], number: Int)] = []
        var (cells, cell): ([[UInt8]], [UInt8]) = ([], [])
        var (isQuoted, isStart) = (false, true)
        var (number, start, quoteLine) = (1, 1, 1)
        func endRow() {
            if !cells.isEmpty || !cell.isEmpty || !isStart { lines.append((cells + [cell], start)) }
            (cells, cell, isStart) = ([], [], true)
            number += 1
            start = number
        }
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if isQuoted {
                if byte == 0x0A || (byte == 0x0D && (at == bytes.count || bytes[at] != 0x0A)) { number += 1 }
                if byte != quote {
                    cell.append(byte)
                } else if at < bytes.count, bytes[at] == quote {
                    cell.append(quote)
                    at += 1
                } else {
                    isQuoted = false
                    let isEnd = at == bytes.count || [separator, 0x0A, 0x0D].contains(bytes[at])
                    guard isEnd || number == quoteLine else {
                        throw Failure(
                            .badData, "\(path):\(quoteLine)",
                            "a quote opens here, and the next one, in line \(number), does not end its cell",
                            remedy: "Close the quote, or double a quote that belongs to the text")
                    }
                }
            } else if byte == quote, isStart {
                (isQuoted, isStart, quoteLine) = (true, false, number)
            } else if byte == separator {
                cells.append(cell)
                (cell, isStart) = ([], true)
            } else if byte == 0x0A || byte == 0x0D {
                if byte == 0x0D, at < bytes.count, bytes[at] == 0x0A { at += 1 }
                endRow()
            } else {
                cell.append(byte)
                isStart = false
            }
        }
        guard !isQuoted else {
            throw Failure(
                .badData, "\(path):\(quoteLine)", "a quote opens here and is never closed",
                remedy: "Double a quote that belongs to the text")
        }
        endRow()
        return lines
    }
}
