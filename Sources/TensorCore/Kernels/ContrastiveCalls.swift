package enum ContrastiveKind: Sendable { case softmax, sigmoid }

extension Kernel {
    /// A contrastive loss and all its gradients, filled in one go (see `contrastiveLoss`).
    package struct Contrastive: KernelCall {
        package let kind: ContrastiveKind
        package let images: Tensor  // [B,E], unit rows
        package let texts: Tensor  // [B,E], unit rows
        /// The logarithm of the logit scale, one element
        package let logScale: Tensor
        /// One element; nil means 0
        package let logitBias: Tensor?
        package let loss: Tensor  // []
        package let dImages: Tensor
        package let dTexts: Tensor
        package let dLogScale: Tensor
        /// Zero for softmax, which no bias changes.
        package let dBias: Tensor

        package var name: String { "contrastive" }
        package var inputs: [Tensor] { [images, texts, logScale] + [logitBias].compactMap { $0 } }
        package var outputs: [Tensor] { [loss, dImages, dTexts, dLogScale, dBias] }
        package var flops: Int { 2 * images.count * images.rows * (kind == .softmax ? 4 : 3) }
    }
}
