import Encoders
import Foundation
package import TensorCore

/// Zero-shot classification (Radford et al. 2021, arXiv:2103.00020, section 3.1).
package enum Classification {
    /// The classifier [C,E]: per class the mean of its templates' unit features, made unit again.
    ///
    /// - Parameter features: [C * templates, E], unit rows, a class's templates together
    package static func weights(features: [Float], classes: Int, templates: Int, width: Int) -> [Float] {
        var weights = [Float](repeating: 0, count: classes * width)
        for c in 0..<classes {
            var mean = [Double](repeating: 0, count: width)
            for t in 0..<templates {
                for e in 0..<width { mean[e] += Double(features[(c * templates + t) * width + e]) }
            }
            let length = max(1e-12, mean.reduce(0) { $0 + $1 * $1 }.squareRoot())
            for e in 0..<width { weights[c * width + e] = Float(mean[e] / length) }
        }
        return weights
    }

    /// The best `k` classes of every image, ties to the lower index, a tile of images at a time.
    package static func top(_ k: Int, images: Tensor, weights: Tensor, tile: Int = 1024) -> [[Int]] {
        let classes = weights.shape[0]
        var best: [[Int]] = []
        for start in stride(from: 0, to: images.shape[0], by: tile) {
            let range = start..<min(images.shape[0], start + tile)
            let scores = withoutTape { matmul(images.slice(range), weights, transposeB: true) }.floats
            for row in 0..<range.count {
                let first = row * classes
                var found: [Int] = []
                for c in 0..<classes {
                    let score = scores[first + c]
                    guard found.count < k || score > scores[first + found[k - 1]] else { continue }
                    let place = found.firstIndex { scores[first + $0] < score } ?? found.count
                    found.insert(c, at: place)
                    if found.count > k { found.removeLast() }
                }
                best.append(found)
            }
        }
        return best
    }

    /// Average precision of every class where an image has any number of them: the mean, over the images that
    /// have the class, of the precision among those that score no lower. Ties to the lower index.
    ///
    /// - Parameters:
    ///   - scores: [N,C]
    ///   - targets: [N,C], whether image n has class c
    package static func averagePrecisions(scores: [Float], targets: [Bool], classes: Int) -> [Double] {
        let count = scores.count / max(1, classes)
        return (0..<classes).map { c in
            let order = (0..<count).sorted { a, b in
                let (first, second) = (scores[a * classes + c], scores[b * classes + c])
                return first != second ? first > second : a < b
            }
            var (found, sum) = (0, 0.0)
            for (rank, n) in order.enumerated() where targets[n * classes + c] {
                found += 1
                sum += Double(found) / Double(rank + 1)
            }
            return sum / Double(max(1, found))
        }
    }

    /// Of every image, whether the first answer, or from five classes up one of the five, is a class of it.
    static func hits(top: [[Int]], targets: [[Int]], classes: Int) -> [[String: Double]] {
        zip(top, targets).map { answers, own in
            var hits = ["acc1": own.contains(answers[0]) ? 1.0 : 0]
            if classes >= 5 { hits["acc5"] = answers.contains { own.contains($0) } ? 1 : 0 }
            return hits
        }
    }

    /// acc1, acc5 (from five classes up) and the mean over the classes that occur of their recall. An image with
    /// several classes is right when the answer is one of them (Beyer et al. 2020, arXiv:2006.07159), and has
    /// no part in the recall by class.
    package static func metrics(top: [[Int]], targets: [[Int]], classes: Int) -> [Metric] {
        let hits = hits(top: top, targets: targets, classes: classes)
        var metrics = (classes >= 5 ? ["acc1", "acc5"] : ["acc1"]).map { name in
            Metric.mean(name, hits.map { $0[name] ?? 0 })
        }
        guard targets.allSatisfy({ $0.count == 1 }) else { return metrics }
        let isRight = hits.map { $0["acc1"] == 1 }
        metrics.append(
            Metric("mean_per_class_recall", count: targets.count) { sample in
                var seen = [Int](repeating: 0, count: classes)
                var right = [Int](repeating: 0, count: classes)
                for i in sample {
                    seen[targets[i][0]] += 1
                    if isRight[i] { right[targets[i][0]] += 1 }
                }
                let recalls = zip(right, seen).filter { $0.1 > 0 }.map { Double($0.0) / Double($0.1) }
                return recalls.reduce(0, +) / Double(max(1, recalls.count))
            })
        return metrics
    }
}
