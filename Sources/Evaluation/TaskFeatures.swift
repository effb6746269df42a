import Foundation
import Support
import TensorCore

/// A task's features by every member of an ensemble: what weights are tried on.
struct TaskFeatures {
    let kind: EvaluationTask.Kind
    /// Of each member [N,E], unit rows; empty for one that no weight asks for.
    let images: [[Float]]
    /// Of each member the classifier [C,E] or the captions [M,E], unit rows.
    let texts: [[Float]]
    let width: Int
    /// The classes of each image; retrieval: the image of each caption.
    let targets: [[Int]]
    let owner: [Int]
    let device: any Device

    enum Weighting {
        /// The same for the whole task.
        case task([Double])
        /// Of the task for image to text, of every caption for text to image.
        case captions(task: [Double], each: [[Double]])
    }

    /// Cosines summed with weights are one product of rows side by side, the texts' parts scaled.
    struct Rows {
        let images: [Float]
        let texts: [Float]
        let width: Int

        func score(_ image: Int, _ text: Int) -> Float {
            (0..<width).reduce(0) { $0 + images[image * width + $1] * texts[text * width + $1] }
        }
    }

    struct Outcome {
        let metrics: [Metric]
        /// Classification: the best classes of every image.
        let top: [[Int]]
        /// Of every image, what it adds to each metric.
        let hits: [[String: Double]]
        /// Of text to image where the two differ.
        let rows: Rows
    }

    let imageCount: Int
    let textCount: Int

    /// - Parameter weights: of each text for each member; members that never count are left out
    func rows(_ weights: (Int) -> [Double], _ used: [Int]) -> Rows {
        guard images.count > 1 else { return Rows(images: images[0], texts: texts[0], width: width) }
        let ones = [Double](repeating: 1, count: used.count)
        return Rows(
            images: Ensemble.joined(used.map { images[$0] }, count: imageCount) { _ in ones },
            texts: Ensemble.joined(used.map { texts[$0] }, count: textCount) { text in
                let all = weights(text)
                return used.map { all[$0] }
            }, width: width * used.count)
    }

    func outcome(_ weighting: Weighting, classes: Int) -> Outcome {
        switch (kind, weighting) {
        case (.classification, .task(let weights)), (.classification, .captions(let weights, _)):
            let rows = rows({ _ in weights }, weights.indices.filter { weights[$0] > 0 })
            let top = Classification.top(
                min(5, classes), images: tensor(rows.images, imageCount, rows.width),
                weights: tensor(rows.texts, classes, rows.width))
            return Outcome(
                metrics: Classification.metrics(top: top, targets: targets, classes: classes), top: top,
                hits: Classification.hits(top: top, targets: targets, classes: classes), rows: rows)
        case (.retrieval, .task(let weights)):
            let rows = rows({ _ in weights }, weights.indices.filter { weights[$0] > 0 })
            return retrieval(ranks(rows), rows)
        case (.retrieval, .captions(let task, let each)):
            let used = task.indices.filter { member in each.contains { $0[member] > 0 } }
            let toText = ranks(rows({ _ in task }, task.indices.filter { task[$0] > 0 }))
            let rows = rows({ each[$0] }, used)
            let ranks = Retrieval.Ranks(textToImage: ranks(rows).textToImage, imageToText: toText.imageToText)
            return retrieval(ranks, rows)
        }
    }

    private func retrieval(_ ranks: Retrieval.Ranks, _ rows: Rows) -> Outcome {
        Outcome(
            metrics: Retrieval.metrics(ranks, owner: owner), top: [], hits: Retrieval.hits(ranks, owner: owner),
            rows: rows)
    }

    private func ranks(_ rows: Rows) -> Retrieval.Ranks {
        Retrieval.ranks(
            images: tensor(rows.images, imageCount, rows.width), texts: tensor(rows.texts, textCount, rows.width),
            owner: owner)
    }

    private func tensor(_ values: [Float], _ rows: Int, _ width: Int) -> Tensor {
        device.tensor(values, shape: [rows, width])
    }
}
