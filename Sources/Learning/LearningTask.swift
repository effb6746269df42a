package import Encoders
import Layers
package import Objectives
package import Optimizers
package import TensorCore

/// A model and what it minimises.
package enum LearningTask: Sendable {
    /// Which texts belong to which images, over all pairs of a batch.
    case contrastive(DualEncoder, Objective)

    package var model: DualEncoder {
        get {
            switch self {
            case .contrastive(let model, _): model
            }
        }
        set {
            switch self {
            case .contrastive(_, let objective): self = .contrastive(newValue, objective)
            }
        }
    }

    var contrastive: (DualEncoder, Objective) {
        switch self {
        case .contrastive(let model, let objective): (model, objective)
        }
    }

    /// The loss of a batch, [], in nats per image; nothing is recorded.
    package func loss(_ batch: PairBatch) -> Tensor {
        withoutTape {
            switch self {
            case .contrastive(let model, let objective):
                objective.loss(model.encode(images: batch.images.values), model.encode(texts: batch.texts), model)
            }
        }
    }

    /// The loss of a batch, [], and the gradients of all parameters that are not frozen. Does not wait.
    ///
    /// - Parameters:
    ///   - chunk: pairs whose values are held at a time (`FeatureCache`); nil: all
    ///   - element: what towers compute in
    package func gradients(
        _ batch: PairBatch, chunk: Int? = nil, as element: Element = .float32,
        isFrozen: (String) -> Bool = { _ in false }
    ) -> (loss: Tensor, gradients: Gradients) {
        switch self {
        case .contrastive(let model, let objective):
            var watched = model.watched(as: element, except: isFrozen)
            watched.batchNorms = .batch
            let loss: Tensor
            if let chunk, chunk < batch.count {
                loss = FeatureCache(watched, objective, chunk: chunk).backward(batch)
            } else {
                loss = objective.loss(
                    watched.encode(images: batch.images.values), watched.encode(texts: batch.texts), watched)
                loss.backward()
            }
            return (loss.detached, Gradients(of: watched.parameters))
        }
    }

    /// What holds of the parameters after every step: the logit scale within [1, 100], as CLIP's.
    package func constrain() { model.logScale.value.keep(within: 0...4.605170185988092) }
}

extension Objective {
    /// [] of [B,E] and [B,E] by a model's logit scale and bias.
    func loss(_ images: Tensor, _ texts: Tensor, _ model: DualEncoder) -> Tensor {
        loss(images: images, texts: texts, logScale: model.logScale.value, logitBias: model.logitBias?.value)
    }
}
