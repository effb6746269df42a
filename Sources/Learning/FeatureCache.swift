import Encoders
import Objectives
import TensorCore

/// Large batches in the memory of a chunk (Gao et al. 2021, arXiv:2101.06983): all chunks are encoded without recording,
/// the loss gives the features' gradients once, and each chunk is encoded again to send its own back. Same result as the
/// undivided batch.
struct FeatureCache {
    private let model: DualEncoder
    private let objective: Objective
    private let chunk: Int

    /// - Parameter model: watched
    init(_ model: DualEncoder, _ objective: Objective, chunk: Int) {
        (self.model, self.objective, self.chunk) = (model, objective, chunk)
    }

    /// The loss, [], its gradients with the model's parameters.
    func backward(_ batch: PairBatch) -> Tensor {
        let parts = stride(from: 0, to: batch.count, by: chunk).map {
            batch.slice($0..<min(batch.count, $0 + chunk))
        }
        let (images, texts) = withoutTape {
            (
                concatenate(parts.map { model.encode(images: $0.images.values) }).watched(),
                concatenate(parts.map { model.encode(texts: $0.texts) }).watched()
            )
        }
        let loss = objective.loss(images, texts, model)
        loss.backward()
        guard let dImages = images.gradient, let dTexts = texts.gradient else {
            preconditionFailure("a contrastive loss sends gradients to both sides")
        }
        var start = 0
        for part in parts {
            let rows = start..<start + part.count
            model.encode(images: part.images.values).backward(dImages.slice(rows))
            model.encode(texts: part.texts).backward(dTexts.slice(rows))
            start = rows.upperBound
        }
        return loss
    }
}
