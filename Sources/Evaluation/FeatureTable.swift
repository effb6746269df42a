import TensorCore

/// The features that a task is judged by, of every member of an ensemble: what weights are tried on, without a model.
package struct FeatureTable: Sendable {
    /// Of each member [N,E], unit rows; empty for one that no weight asks for.
    let images: [[Float]]
    /// Of each member [M,E], unit rows: the classifier, or the captions.
    let texts: [[Float]]
    /// E
    let width: Int
    let imageCount: Int
    let textCount: Int
    let device: any Device

    /// How much each member counts.
    package enum Weighting {
        /// The same for the whole task.
        case task([Double])
        /// Of the task for image to text, of every caption for text to image.
        case captions(task: [Double], each: [[Double]])

        var ofTask: [Double] {
            switch self {
            case .task(let weights), .captions(let weights, _): weights
            }
        }
    }

    /// Cosines summed with weights are one product of rows side by side, the texts' parts scaled.
    package struct Rows {
        let images: [Float]
        let texts: [Float]
        let width: Int

        func score(_ image: Int, _ text: Int) -> Float {
            (0..<width).reduce(0) { $0 + images[image * width + $1] * texts[text * width + $1] }
        }
    }

    /// By one weight of each member for all texts.
    func rows(_ weights: [Double]) -> Rows {
        rows({ _ in weights }, weights.indices.filter { weights[$0] > 0 })
    }

    /// - Parameters:
    ///   - weights: of each text for each member
    ///   - used: members that ever count
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

    /// [N,E] and [M,E] on the device.
    func tensors(_ rows: Rows) -> (images: Tensor, texts: Tensor) {
        (
            device.tensor(rows.images, shape: [imageCount, rows.width]),
            device.tensor(rows.texts, shape: [textCount, rows.width])
        )
    }
}
