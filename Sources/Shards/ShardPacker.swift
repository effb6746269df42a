import Foundation
import Images
import Support

/// Images and captions from a table or a COCO file, as shards.
public struct ShardPacker {
    public struct Row: Sendable {
        public let file: String
        public let captions: [String]
    }

    public let rows: [Row]

    /// A table with a header line; rows of the same file are its captions.
    ///
    /// - Parameters:
    ///   - separator: comma or tab; nil takes the one that the header holds
    ///   - imageKey: the column of the file names
    ///   - captionKey: the column of the captions
    /// - Throws: `Failure(.badData)` naming file, line and column.
    public init(table path: String, separator: Character?, imageKey: String, captionKey: String) throws {
        let text = String(decoding: try readFile(path), as: UTF8.self)
        let separator = separator ?? (text.prefix { !$0.isNewline }.contains("\t") ? "\t" : ",")
        let lines = Self.parse(text, separator)
        guard let header = lines.first?.cells else { throw Failure(.badData, path, "is empty") }
        func column(_ name: String) throws -> Int {
            guard let index = header.firstIndex(of: name) else {
                let hint =
                    didYouMean(name, among: header).map { "Did you mean \($0)?" }
                    ?? "Its columns are \(header.joined(separator: ", "))"
                throw Failure(.badData, "\(path):1", "has no column \(name)", remedy: hint)
            }
            return index
        }
        let (image, caption) = (try column(imageKey), try column(captionKey))
        var order: [String] = []
        var captions: [String: [String]] = [:]
        for line in lines.dropFirst() {
            guard line.cells.count == header.count else {
                throw Failure(
                    .badData, "\(path):\(line.number)", "has \(line.cells.count) columns, the header \(header.count)")
            }
            if captions[line.cells[image]] == nil { order.append(line.cells[image]) }
            captions[line.cells[image], default: []].append(line.cells[caption])
        }
        rows = order.map { Row(file: $0, captions: captions[$0]!) }
    }

    public init(coco path: String) throws {
        rows = try COCOCaptions(path).images.map { Row(file: $0.file, captions: $0.captions) }
    }

    /// RFC 4180: quoted cells may hold separators, line ends and doubled quotes.
    private static func parse(_ text: String, _ separator: Character) -> [(cells: [String], number: Int)] {
        var lines: [(cells: [String], number: Int)] = []
        var cells: [String] = []
        var cell = ""
        var isQuoted = false
        var (number, start) = (1, 1)
        var rest = text[...]
        while let character = rest.popFirst() {
            if isQuoted {
                if character.isNewline { number += 1 }
                if character != "\"" {
                    cell.append(character)
                } else if rest.first == "\"" {
                    cell.append(rest.removeFirst())
                } else {
                    isQuoted = false
                }
            } else if character == "\"", cell.isEmpty {
                isQuoted = true
            } else if character == separator {
                cells.append(cell)
                cell = ""
            } else if character.isNewline {
                if !(cells.isEmpty && cell.isEmpty) { lines.append((cells + [cell], start)) }
                (cells, cell) = ([], "")
                number += 1
                start = number
            } else {
                cell.append(character)
            }
        }
        if !(cells.isEmpty && cell.isEmpty) { lines.append((cells + [cell], start)) }
        return lines
    }

    /// Writes shards of `shardSize` samples; images keep their bytes. Images that cannot be decoded are
    /// left out and counted.
    ///
    /// - Parameter folder: where the images stand; file names may be absolute, too
    public func write(images folder: String, to out: String, shardSize: Int, progress: (Int) -> Void = { _ in }) throws
        -> FaultTally
    {
        try AtomicFile.makeFolder(out)
        var tally = FaultTally()
        for (shard, start) in stride(from: 0, to: rows.count, by: shardSize).enumerated() {
            try AtomicFile.write(to: out + String(format: "/shard-%05d.tar", shard)) { file in
                let tar = TarWriter(file)
                for index in start..<min(rows.count, start + shardSize) {
                    let row = rows[index]
                    let path = row.file.hasPrefix("/") ? row.file : folder + "/" + row.file
                    tally.seen += 1
                    let captions = row.captions.map { $0.split(whereSeparator: \.isNewline).joined(separator: " ") }
                    do {
                        let data = try readFile(path)
                        _ = try PixelImage(decoding: data)
                        let key = String(format: "%08d", index)
                        try tar.add("\(key).\(Self.suffix(data))", data)
                        try tar.add(key + ".txt", Data(captions.joined(separator: "\n").utf8))
                        let json: JSON = [
                            "file": .string(row.file), "captions": .array(row.captions.map { .string($0) }),
                        ]
                        try tar.add(key + ".json", Data(json.text().utf8))
                    } catch let fault as ImageFault {
                        tally.add(fault.reason.rawValue, example: path)
                    } catch let failure as Failure where failure.kind == .inputMissing {
                        tally.add("missing file", example: path)
                    }
                    progress(index + 1)
                }
                try tar.finish()
            }
        }
        guard tally.total < rows.count else {
            throw Failure(
                .badData, folder, "none of the \(rows.count) images can be used: \(tally.summary)",
                remedy: "Check --images")
        }
        return tally
    }

    private static func suffix(_ data: Data) -> String {
        switch data.first {
        case 0x89: "png"
        case UInt8(ascii: "R"): "webp"
        default: "jpg"
        }
    }
}
