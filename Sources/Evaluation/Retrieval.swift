import Foundation
import TensorCore

/// Image-text retrieval by cosine, ties to the lower index, never all scores at once.
public enum Retrieval {
    public struct Ranks: Sendable {
        /// Of each text's own image among all images, from 0.
        public let textToImage: [Int]
        /// Of each image's best own text among all texts, from 0.
        public let imageToText: [Int]
    }

    /// - Parameters:
    ///   - images: [N,E], unit rows
    ///   - texts: [M,E], unit rows
    ///   - owner: the image of each text
    public static func ranks(images: Tensor, texts: Tensor, owner: [Int], tile: Int = 512) -> Ranks {
        let (n, m) = (images.shape[0], texts.shape[0])
        func eachTile(_ body: (Range<Int>, [Float]) -> Void) {
            for start in stride(from: 0, to: m, by: tile) {
                let range = start..<min(m, start + tile)
                body(range, withoutTape { matmul(texts.slice(range), images, transposeB: true) }.floats)  // [tile,N]
            }
        }
        // First pass: the score of each text with its own image; the best own text of each image.
        var own = [Float](repeating: 0, count: m)
        var best = [Int](repeating: -1, count: n)
        eachTile { range, scores in
            for text in range {
                own[text] = scores[(text - range.lowerBound) * n + owner[text]]
                let held = best[owner[text]]
                if held < 0 || own[text] > own[held] { best[owner[text]] = text }
            }
        }
        // Second pass: how many stand before them. The products are cut alike, so equal scores stay equal.
        var textRanks = [Int](repeating: 0, count: m)
        var imageRanks = [Int](repeating: 0, count: n)
        eachTile { range, scores in
            scores.withUnsafeBufferPointer { scores in
                for text in range {
                    let row = scores.baseAddress! + (text - range.lowerBound) * n
                    let (mine, image) = (own[text], owner[text])
                    var ahead = 0
                    for i in 0..<n where row[i] > mine || (row[i] == mine && i < image) { ahead += 1 }
                    textRanks[text] = ahead
                    for i in 0..<n where best[i] >= 0 {
                        if row[i] > own[best[i]] || (row[i] == own[best[i]] && text < best[i]) { imageRanks[i] += 1 }
                    }
                }
            }
        }
        return Ranks(textToImage: textRanks, imageToText: imageRanks)
    }

    /// CLIP_benchmark's names: image_retrieval is text to image, text_retrieval image to text (a hit when
    /// any own text is among the first K). Intervals resample images together with all their texts.
    public static func metrics(_ ranks: Ranks, owner: [Int]) -> [Metric] {
        var texts = [[Int]](repeating: [], count: ranks.imageToText.count)
        for (text, image) in owner.enumerated() { texts[image].append(text) }
        return [1, 5, 10].flatMap { k in
            [
                Metric("image_retrieval_recall@\(k)", count: texts.count) { [texts] sample in
                    var (hits, all) = (0, 0)
                    for image in sample {
                        all += texts[image].count
                        for text in texts[image] where ranks.textToImage[text] < k { hits += 1 }
                    }
                    return Double(hits) / Double(max(1, all))
                },
                .mean("text_retrieval_recall@\(k)", ranks.imageToText.map { $0 < k ? 1 : 0 }),
            ]
        }
    }
}
