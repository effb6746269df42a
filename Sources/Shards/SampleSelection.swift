import Foundation
import Support

/// Which samples take part in training, and how often: the expected uses of every sample of some data, in the order of
/// their shards. Experts and curation write it, `SampleOrder` reads it.
///
/// A sample is used in an epoch when a draw of its own stream (seed, "keep", epoch, its id) lies below its expected uses, so
/// which are is a function of the seed alone. The file: float32 `uses` little-endian behind one line of JSON.
package struct SampleSelection: Sendable {
    /// `digest(of:)` of the data it was made for.
    package let data: String
    package let seed: UInt64
    /// 0...1 each.
    package let uses: [Float]

    package init(data: String, seed: UInt64, uses: [Float]) {
        precondition(uses.allSatisfy { (0...1).contains($0) }, "expected uses lie between 0 and 1")
        (self.data, self.seed, self.uses) = (data, seed, uses)
    }

    /// What all samples are called by: the data that a selection belongs to.
    package static func digest(of sources: [ShardSource]) -> String {
        SHA256.hex(sources.flatMap { $0.shards.map(\.keys) }.joined())
    }

    /// - Throws: `Failure(.badData)` when the file is no selection, `Failure(.inputMissing)` when there is none
    package init(file path: String) throws {
        let bytes = try readFile(path)
        guard let end = bytes.firstIndex(of: 0x0A), let head = try? JSON(parsing: bytes[..<end], path: path),
            let data = head["data"]?.string, let seed = head["seed"]?.integer, let count = head["samples"]?.integer,
            bytes.count - end - 1 == count * 4
        else { throw Failure(.badData, path, "is no selection of samples") }
        uses = bytes[(end + 1)...].withUnsafeBytes { raw in
            (0..<count).map {
                Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
        (self.data, self.seed) = (data, UInt64(seed))
        guard let wrong = uses.firstIndex(where: { !(0...1).contains($0) }) else { return }
        throw Failure(.badData, path, "sample \(wrong): expected uses of \(uses[wrong]) are not between 0 and 1")
    }

    /// - Throws: `Failure(.io)` naming the path
    package func write(to path: String) throws {
        let head: JSON = ["data": .string(data), "seed": .integer(Int(seed)), "samples": .integer(uses.count)]
        var bytes = Data((head.text() + "\n").utf8)
        for value in uses { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) } }
        try AtomicFile.write(bytes, to: path)
    }

    /// - Parameters:
    ///   - sample: its place among all
    ///   - id: what it is called by in draws
    func isUsed(_ sample: Int, id: @autoclosure () -> Int64, epoch: Int) -> Bool {
        let share = uses[sample]
        if share == 0 || share == 1 { return share == 1 }
        var stream = RandomStream(seed: seed, purpose: "keep", epoch: epoch, sample: Int(id()))
        return stream.uniform() < Double(share)
    }

    /// Whether which samples are used differs from epoch to epoch.
    var isDrawn: Bool { uses.contains { $0 > 0 && $0 < 1 } }
}
