import Foundation
import Support
package import TensorCore

/// Image-text retrieval by cosine, ties to the lower index, never all scores at once.
package enum Retrieval {
    package struct Ranks: Sendable {
        /// Of each text's own image among all images, from 0.
        package let textToImage: [Int]
        /// Of each image's best own text among all texts, from 0; `limit` for any further down.
        package let imageToText: [Int]
    }

    /// The largest K of the recalls.
    package static let limit = 10

    /// One product in tiles: a text's rank is counted in its row of scores, an image keeps its best `limit` texts.
    ///
    /// - Parameters:
    ///   - images: [N,E], unit rows
    ///   - texts: [M,E], unit rows
    ///   - owner: the image of each text
    package static func ranks(images: Tensor, texts: Tensor, owner: [Int]) -> Ranks {
        let (n, m) = (images.shape[0], texts.shape[0])
        let tile = max(128, min(2048, (1 << 24) / max(1, n)))  // texts: 64 MB of scores
        var textRanks = [Int](repeating: 0, count: m)
        var blocks = stride(from: 0, to: n, by: BestTexts.block).map {
            BestTexts(images: $0..<min(n, $0 + BestTexts.block), limit: min(limit, m))
        }
        for start in stride(from: 0, to: m, by: tile) {
            let range = start..<min(m, start + tile)
            withoutTape { matmul(texts.slice(range), images, transposeB: true) }.withFloats { scores in  // [tile,N]
                nonisolated(unsafe) let scores = scores.start
                textRanks.withUnsafeMutableBufferPointer { ranks in
                    nonisolated(unsafe) let ranks = ranks
                    inParallel(range.count) { ranks[start + $0] = ahead(of: owner[start + $0], in: scores + $0 * n, n) }
                }
                blocks.withUnsafeMutableBufferPointer { blocks in
                    nonisolated(unsafe) let blocks = blocks
                    inParallel(blocks.count) { block in
                        for text in range { blocks[block].see(text, scores + (text - start) * n) }
                    }
                }
            }
        }
        let imageRanks = (0..<n).map { image in
            blocks[image / BestTexts.block].order(image).firstIndex { $0 >= 0 && owner[$0] == image } ?? limit
        }
        return Ranks(textToImage: textRanks, imageToText: imageRanks)
    }

    /// How many of a row stand before one of its elements: higher, or equal and earlier.
    private static func ahead(of own: Int, in row: UnsafePointer<Float>, _ count: Int) -> Int {
        let mine = SIMD8<Float>(repeating: row[own])
        return Self.count(row, 0..<own) { $0 .>= mine } + Self.count(row, own + 1..<max(own + 1, count)) { $0 .> mine }
    }

    /// How many elements pass a test of eight at a time (a plain loop is not vectorised).
    @inline(__always)
    private static func count(
        _ row: UnsafePointer<Float>, _ range: Range<Int>, _ test: (SIMD8<Float>) -> SIMDMask<SIMD8<Int32>>
    ) -> Int {
        var counts = SIMD8<Int32>.zero
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            let values = UnsafeRawPointer(row + i).loadUnaligned(as: SIMD8<Float>.self)
            counts.replace(with: counts &+ 1, where: test(values))
            i += 8
        }
        if i < range.upperBound {
            var rest = SIMD8<Float>(repeating: .nan)  // passes no comparison
            for lane in 0..<range.upperBound - i { rest[lane] = row[i + lane] }
            counts.replace(with: counts &+ 1, where: test(rest))
        }
        return Int(counts.wrappedSum())
    }

    /// The best few texts of each of a block of images, texts seen in ascending order.
    private struct BestTexts {
        static let block = 512
        private let images: Range<Int>
        private let limit: Int
        private var scores: [Float]  // [images, limit], descending
        private var texts: [Int32]
        /// The last place's score, which a text must beat.
        private var thresholds: [Float]

        init(images: Range<Int>, limit: Int) {
            self.images = images
            self.limit = limit
            scores = Array(repeating: -.infinity, count: images.count * limit)
            texts = Array(repeating: -1, count: images.count * limit)
            thresholds = Array(repeating: -.infinity, count: images.count)
        }

        /// - Parameter row: the text's scores, of all images
        mutating func see(_ text: Int, _ row: UnsafePointer<Float>) {
            let row = row + images.lowerBound
            // Few scores beat a threshold once many texts were seen: look at them only where one of 32 does.
            for first in stride(from: 0, to: images.count, by: 32) {
                let last = min(images.count, first + 32)
                guard isAnyAbove(row, first..<last) else { continue }
                for place in first..<last where row[place] > thresholds[place] { insert(text, row[place], place) }
            }
        }

        private func isAnyAbove(_ row: UnsafePointer<Float>, _ range: Range<Int>) -> Bool {
            thresholds.withUnsafeBufferPointer { thresholds in
                var above = SIMDMask<SIMD8<Int32>>(repeating: false)
                var i = range.lowerBound
                while i + 8 <= range.upperBound {
                    let scores = UnsafeRawPointer(row + i).loadUnaligned(as: SIMD8<Float>.self)
                    let limits = UnsafeRawPointer(thresholds.start + i).loadUnaligned(as: SIMD8<Float>.self)
                    above = above .| (scores .> limits)
                    i += 8
                }
                return above != SIMDMask(repeating: false)
                    || (i..<range.upperBound).contains { row[$0] > thresholds[$0] }
            }
        }

        private mutating func insert(_ text: Int, _ score: Float, _ image: Int) {
            let start = image * limit
            var place = start + limit - 1
            while place > start, scores[place - 1] < score {
                scores[place] = scores[place - 1]
                texts[place] = texts[place - 1]
                place -= 1
            }
            scores[place] = score
            texts[place] = Int32(text)
            thresholds[image] = scores[start + limit - 1]
        }

        /// An image's texts, best first.
        func order(_ image: Int) -> [Int] {
            let start = (image - images.lowerBound) * limit
            return texts[start..<start + limit].map { Int($0) }
        }
    }

    /// Of every image, the share of its texts that find it and whether it finds one of them, for each K.
    static func hits(_ ranks: Ranks, owner: [Int]) -> [[String: Double]] {
        texts(of: owner, images: ranks.imageToText.count).enumerated().map { image, own in
            var hits: [String: Double] = [:]
            for k in cuts {
                hits[textRecall(k)] = ranks.imageToText[image] < k ? 1 : 0
                hits[imageRecall(k)] = Double(own.count { ranks.textToImage[$0] < k }) / Double(max(1, own.count))
            }
            return hits
        }
    }

    private static let cuts = [1, 5, 10]
    private static func imageRecall(_ k: Int) -> String { "image_retrieval_recall@\(k)" }
    private static func textRecall(_ k: Int) -> String { "text_retrieval_recall@\(k)" }

    private static func texts(of owner: [Int], images: Int) -> [[Int]] {
        var texts = [[Int]](repeating: [], count: images)
        for (text, image) in owner.enumerated() { texts[image].append(text) }
        return texts
    }

    /// CLIP_benchmark's names: image_retrieval is text to image, text_retrieval image to text (a hit when
    /// any own text is among the first K). Intervals resample images together with all their texts.
    package static func metrics(_ ranks: Ranks, owner: [Int]) -> [Metric] {
        let texts = texts(of: owner, images: ranks.imageToText.count)
        return cuts.flatMap { k in
            [
                Metric(imageRecall(k), count: texts.count) { sample in
                    var (hits, all) = (0, 0)
                    for image in sample {
                        all += texts[image].count
                        for text in texts[image] where ranks.textToImage[text] < k { hits += 1 }
                    }
                    return Double(hits) / Double(max(1, all))
                },
                .mean(textRecall(k), ranks.imageToText.map { $0 < k ? 1 : 0 }),
            ]
        }
    }
}
