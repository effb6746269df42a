import Encoders
import Layers
import Objectives
import Optimizers
import TensorCore

extension Objective {
    /// The loss of one batch and the gradients of all parameters that are not frozen.
    ///
    /// With a chunk smaller than the batch, features are cached (Gao et al. 2021, arXiv:2101.06983): all
    /// chunks are encoded without recording, the loss gives the features' gradients once, and each chunk
    /// is encoded again to send its own back. Same result as the undivided batch; the memory of one chunk.
    /// - Parameters:
    ///   - images: [B,3,H,W]
    ///   - texts: [B,T]
    public func gradients(
        of model: DualEncoder, images: Tensor, texts: TokenBatch, chunk: Int? = nil,
        isFrozen: (String) -> Bool = { _ in false }
    ) -> (loss: Float, gradients: Gradients) {
        var watched = model.watched(except: isFrozen)
        watched.isTraining = true
        let count = images.shape[0]
        let loss: Float
        if let chunk, chunk < count {
            loss = cachedFeatures(watched, images, texts, chunk)
        } else {
            let value = self.loss(
                images: watched.encode(images: images), texts: watched.encode(texts: texts),
                logScale: watched.logScale.value, logitBias: watched.logitBias?.value)
            value.backward()
            loss = value.scalar
        }
        let parameters = watched.parameters
        return (loss, Gradients(names: parameters.map(\.name), tensors: parameters.map(\.value.gradient)))
    }

    private func cachedFeatures(_ model: DualEncoder, _ images: Tensor, _ texts: TokenBatch, _ chunk: Int) -> Float {
        let count = images.shape[0]
        let parts = stride(from: 0, to: count, by: chunk).map { $0..<min(count, $0 + chunk) }
        let (imageFeatures, textFeatures) = withoutTape {
            (
                concatenate(parts.map { model.encode(images: images.slice($0)) }),
                concatenate(parts.map { model.encode(texts: texts.slice($0)) })
            )
        }
        let (cachedImages, cachedTexts) = (imageFeatures.watched(), textFeatures.watched())
        let value = loss(
            images: cachedImages, texts: cachedTexts, logScale: model.logScale.value, logitBias: model.logitBias?.value)
        value.backward()
        for part in parts {
            model.encode(images: images.slice(part)).backward(cachedImages.gradient!.slice(part))
            model.encode(texts: texts.slice(part)).backward(cachedTexts.gradient!.slice(part))
        }
        return value.scalar
    }
}

extension DualEncoder {
    /// After each optimiser step the logit scale is kept within [1, 100], as CLIP's.
    public func clampLogitScale() {
        let device = device
        let clamped = min(max(logScale.value.scalar, 0), 4.605170185988092)
        device.fill(logScale.value, clamped)
    }

    /// The parameters as the optimiser sees them.
    public var optimized: [OptimizedParameter] { parameters.map { OptimizedParameter(name: $0.name, value: $0.value) } }
}
