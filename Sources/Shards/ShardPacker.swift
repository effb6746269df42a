import Foundation
import Images
import Support
import Tokenization

/// Images and captions from a table or a COCO file, as shards.
package struct ShardPacker {
    package struct Row: Sendable {
        package let file: String
        package let captions: [String]
    }

    /// Images with at least one caption.
    package let rows: [Row]
    /// Captions and images that are left out before an image is opened.
    private let faults: FaultTally
    /// The part of a Karpathy split.
    package let split: String?
    private let table: String

    /// A table with a header line; rows of the same file are its captions.
    ///
    /// - Parameters:
    ///   - separator: comma, tab or semicolon; nil takes the one that the header holds
    ///   - imageKey: the column of the file names
    ///   - captionKey: the column of the captions
    /// - Throws: `Failure(.badData)` naming file, line and column.
    package init(table path: String, separator: UInt8?, imageKey: String, captionKey: String) throws {
        self.table = path
        let table = try CaptionTable(path, separator: separator, imageKey: imageKey, captionKey: captionKey)
        var order: [String] = []
        var captions: [NameKey: [String]] = [:]
        var faults = FaultTally()
        for row in table.rows {
            guard let caption = row.caption else {
                faults.add("caption not UTF-8", example: row.file)
                continue
            }
            guard !Clean.trimmed(caption).isEmpty else {
                faults.add("empty caption", example: row.file)
                continue
            }
            if captions[NameKey(row.file)] == nil { order.append(row.file) }
            captions[NameKey(row.file), default: []].append(caption)
        }
        rows = order.map { Row(file: $0, captions: captions[NameKey($0)] ?? []) }
        self.faults = faults
        split = nil
    }

    /// - Parameter split: the parts of a Karpathy split to take
    package init(coco path: String, split: String?) throws {
        table = path
        let file = try COCOCaptions(path, split: split)
        var faults = file.leftOut
        for _ in 0..<file.withoutCaptions { faults.add("no caption", example: file.firstWithout ?? path) }
        rows = file.images.map { Row(file: $0.file, captions: $0.captions) }
        self.faults = faults
        self.split = file.split
    }

    /// Writes shards of `shardSize` samples; images keep their bytes. What cannot be used is left out and counted.
    ///
    /// - Parameters:
    ///   - folder: where the images stand; file names may be absolute, too
    ///   - out: made whole or not at all; it must not hold anything yet
    /// - Returns: the samples written, and what was left out
    package func write(images folder: String, to out: String, shardSize: Int, progress: (Int) -> Void = { _ in }) throws
        -> (samples: Int, leftOut: FaultTally)
    {
        if Files.exists(out), try !Files.isFolder(out) || !Files.names(in: out).isEmpty {
            throw Failure(.usage, out, "exists already and is not empty", remedy: "Give --out a new name")
        }
        guard !rows.isEmpty else {
            throw Failure(
                .badData, table, "holds no image with a caption" + (faults.total > 0 ? ": \(faults.summary)" : ""))
        }
        var tally = faults
        var written = 0
        try AtomicFile.writeFolder(out) { out in
            for (shard, start) in stride(from: 0, to: rows.count, by: shardSize).enumerated() {
                try AtomicFile.write(to: out + String(format: "/shard-%05d.tar", shard)) { file in
                    let tar = TarWriter(file)
                    for index in start..<min(rows.count, start + shardSize) {
                        if try add(index, from: folder, to: tar, &tally) { written += 1 }
                        progress(index + 1)
                    }
                    try tar.finish()
                }
            }
            guard written > 0 else {
                throw Failure(
                    .badData, folder, "none of the \(rows.count) images can be used: \(tally.summary)",
                    remedy: "Check --images")
            }
        }
        return (written, tally)
    }

    private func add(_ index: Int, from folder: String, to tar: TarWriter, _ tally: inout FaultTally) throws -> Bool {
        let row = rows[index]
        let path = row.file.hasPrefix("/") ? row.file : folder + "/" + row.file
        tally.seen += 1
        // A line of the txt member is a caption.
        let lines = row.captions.map { caption in
            caption.unicodeScalars.split { $0 == "\n" || $0 == "\r" }.map { String($0) }.joined(separator: " ")
        }
        do {
            let data = try readFile(path)
            _ = try PixelImage(decoding: data)
            let key = String(format: "%08d", index)
            try tar.add("\(key).\(ImageFormat.suffix(of: data))", data)
            try tar.add(key + ".txt", Data(lines.joined(separator: "\n").utf8))
            let json: JSON = [
                "file": .string(row.file.shownName), "captions": .array(row.captions.map { .string($0) }),
            ]
            try tar.add(key + ".json", Data(json.text().utf8))
            return true
        } catch let fault as ImageFault {
            tally.add(fault.reason.rawValue, example: "\(path): \(fault)")
        } catch let failure as Failure where failure.kind == .inputMissing {
            tally.add("missing file", example: path)
        } catch let failure as Failure where failure.kind == .badData {
            tally.add("no file", example: "\(path): \(failure.problem)")
        }
        return false
    }
}
