import Encoders
import Foundation
import Images
package import Processes
import Support
import TensorCore

/// The batches in which many things are encoded: the same for any number of ranks, which take neighbouring ones.
package struct EncodeGrid {
    /// Of this rank.
    package let ranges: [Range<Int>]
    private let count: Int
    private let ranks: Int

    package init(count: Int, batch: Int, _ group: any ProcessGroup) {
        (self.count, ranks) = (count, group.size)
        ranges = group.share(of: (count + batch - 1) / batch).map { $0 * batch..<min(count, ($0 + 1) * batch) }
    }

    /// How many are done when this rank has come through a range, if the others are as fast.
    package func done(after range: Range<Int>) -> Int {
        guard range != ranges.last, let first = ranges.first else { return count }
        return min(count, (range.upperBound - first.lowerBound) * ranks)
    }
}

/// Images as a model takes them, without those that cannot be read.
struct DecodedBatch {
    /// Their numbers.
    let kept: [Int]
    let bad: [(index: Int, failure: Failure)]
    private let bytes: HostBytes
    private let shape: [Int]

    init(_ bytes: HostBytes, shape: [Int], kept: [Int], bad: [(index: Int, failure: Failure)]) {
        (self.bytes, self.shape, self.kept, self.bad) = (bytes, shape, kept, bad)
    }

    /// UInt8 [B,H,W,3]
    func pixels(on device: any Device) -> Tensor {
        let pixels = device.empty([kept.count] + shape, .uint8)
        device.upload(UnsafeRawBufferPointer(bytes.part(0..<kept.count * shape.reduce(1, *))), into: pixels)
        return pixels
    }
}

extension Preprocess {
    /// Decodes on all cores.
    ///
    /// - Parameter skipping: whether bad data are left out
    /// - Throws: what `load` throws, for the first image that fails and is not left out
    func decode(
        _ range: Range<Int>, _ load: @Sendable (Int) throws -> any Raster, skipping: Bool
    ) throws -> DecodedBatch {
        let size = height * width * 3
        let pixels = HostBytes(count: range.count * size)
        var failures = [(any Error)?](repeating: nil, count: range.count)
        failures.withUnsafeMutableBufferPointer { failures in
            nonisolated(unsafe) let failures = failures.baseAddress
            inParallel(range.count) { index in
                do {
                    let image = geometry(try load(range.lowerBound + index))
                    pixels.part(index * size..<(index + 1) * size).copyBytes(from: image.pixels)
                } catch { failures?[index] = error }
            }
        }
        var (kept, bad): ([Int], [(index: Int, failure: Failure)]) = ([], [])
        for (place, error) in failures.enumerated() {
            if let error {
                guard skipping, let failure = error as? Failure, failure.kind == .badData else { throw error }
                bad.append((range.lowerBound + place, failure))
                continue
            }
            if kept.count < place {
                pixels.part(kept.count * size..<(kept.count + 1) * size).copyMemory(
                    from: UnsafeRawBufferPointer(pixels.part(place * size..<(place + 1) * size)))
            }
            kept.append(range.lowerBound + place)
        }
        return DecodedBatch(pixels, shape: [height, width, 3], kept: kept, bad: bad)
    }
}

/// Images that were left out, with why.
struct BadImages {
    private var found: [(index: Int, failure: Failure)] = []

    mutating func add(_ more: [(index: Int, failure: Failure)]) { found += more }

    /// Those of all ranks, in order. Waits.
    func shared(over group: any ProcessGroup) throws -> [(index: Int, failure: Failure)] {
        guard group.size > 1 else { return found }
        let mine = JSON.array(
            found.map { index, failure in
                [.integer(index), .string(failure.subject), .string(failure.problem), .string(failure.remedy)]
            })
        return try group.texts(mine.text(), "images that are left out").flatMap { text in
            try (JSON(parsing: Data(text.utf8), path: "images that are left out").array ?? []).compactMap { entry in
                guard let parts = entry.array, let index = parts.first?.integer else { return nil }
                let words = parts.dropFirst().compactMap(\.string)
                return (index, Failure(.badData, words[0], words[1], remedy: words[2]))
            }
        }
    }
}
