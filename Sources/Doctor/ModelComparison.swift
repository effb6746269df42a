import Layers
import Models
import Encoders
import Foundation
import Support
package import TensorCore

/// Two models on the same inputs.
package struct ModelComparison {
    let ours: DualEncoder
    let theirs: DualEncoder
    let device: any Device

    /// - Throws: `Failure` when a folder cannot be read or the two take different inputs.
    package init(_ model: String, against other: String, on device: any Device) throws {
        ours = try DualEncoder.read(model, on: device).model
        theirs = try DualEncoder.read(other, on: device).model
        self.device = device
        let (a, b) = (ours.blueprint, theirs.blueprint)
        for (what, first, second) in [
            ("image height", a.vision.height, b.vision.height), ("image width", a.vision.width, b.vision.width),
            ("context length", a.text.contextLength, b.text.contextLength),
            ("vocabulary", a.text.vocabulary, b.text.vocabulary), ("embedding width", a.embedWidth, b.embedWidth),
        ] where first != second {
            throw Failure(.badData, other, "\(what) is \(second), \(model) has \(first): they share no inputs")
        }
    }

    /// Parameters, blocks, features and logits on 8 random images and captions.
    package func run() -> CaseResult {
        var stages = [parameters()]
        let (images, texts) = inputs()
        let tolerance = Tolerance(absolute: 2e-5, relative: 1e-5)
        var imageBlocks = Comparison(
            "image blocks", tolerance, cause: "QuickGELU or GELU, layer-norm epsilon, a missing ln_pre")
        var textBlocks = Comparison("text blocks", tolerance, cause: "QuickGELU or GELU, causal mask or none")
        var seen: [[(String, [Float])]] = []
        var features: [Features] = []
        for model in [ours, theirs] {
            var traced: [(String, [Float])] = []
            withoutTape {
                let image = model.image(images) { traced.append(("image \($0)", $1.floats)) }
                // A tower with a class token of its own shows no blocks.
                let text = model.text(texts, isPacked: false) { traced.append(("text \($0)", $1.floats)) }
                let (unitImage, unitText) = (normalizeRows(image), normalizeRows(text))
                let (scale, bias) = (expf(model.logScale.value.scalar), model.logitBias?.value.scalar ?? 0)
                let logits = matmul(unitImage, unitText, transposeB: true).floats.map { $0 * scale + bias }
                features.append(Features(image: image.floats, text: text.floats, logits: logits))
            }
            seen.append(traced)
        }
        for ((name, expected), (_, actual)) in zip(seen[1], seen[0]) {
            if name.hasPrefix("image") {
                imageBlocks.compare(name, expected, actual)
            } else {
                textBlocks.compare(name, expected, actual)
            }
        }
        if seen[0].count == seen[1].count {
            stages += [imageBlocks, textBlocks].filter { !$0.isEmpty }.map(\.result)
        } else {
            stages.append(
                StageResult("blocks", .failed(cause: "\(seen[0].count) blocks in one, \(seen[1].count) in the other")))
        }
        let scale = Double(expf(theirs.logScale.value.scalar))
        func compare(_ name: String, _ limit: Double, _ cause: String, _ part: (Features) -> [Float]) {
            var stage = Comparison(name, Tolerance(absolute: limit, relative: 1e-5), cause: cause)
            stage.compare(name, part(features[1]), part(features[0]))
            stages.append(stage.result)
        }
        compare("image features", 2e-5, "pooling, final layer norm or projection", \.image)
        compare("text features", 2e-5, "EOT position or projection", \.text)
        compare("logits", 2e-5 * max(1, scale / 10), "logit scale or bias", \.logits)
        return CaseResult(name: "model against model", stages: stages)
    }

    private struct Features {
        let image: [Float]
        let text: [Float]
        let logits: [Float]
    }

    /// Bit for bit, by name; models of two forms share the names of ours.
    private func parameters() -> StageResult {
        var stage = Comparison("parameters", Tolerance(absolute: 0, relative: 0), cause: "different weights")
        let other = Dictionary(uniqueKeysWithValues: theirs.state.map { ($0.name, $0.value) })
        for parameter in ours.state {
            stage.compare(parameter.name, other[parameter.name]?.floats ?? [], parameter.value.floats)
        }
        return stage.result
    }

    private func inputs() -> (Tensor, TokenBatch) {
        var stream = RandomStream(seed: 0, purpose: "doctor inputs")
        let (shape, text) = ([8, 3, ours.blueprint.vision.height, ours.blueprint.vision.width], ours.blueprint.text)
        let images = device.tensor((0..<shape.reduce(1, *)).map { _ in Float(stream.normal()) }, shape: shape)
        let end = if case .eos(let id) = text.pooling { Int32(id) } else { Int32(text.vocabulary - 1) }
        let ids = (0..<8).flatMap { row -> [Int32] in
            let length = max(1, text.contextLength - row)
            let words = (0..<length - 1).map { _ in Int32(1 + stream.integer(below: max(1, text.vocabulary - 3))) }
            return words + [end] + [Int32](repeating: Int32(text.padding), count: text.contextLength - length)
        }
        return (images, TokenBatch(padded: ids, contextLength: text.contextLength))
    }
}
