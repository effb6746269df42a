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

// The loss over ranks, each with b of B rows: no gradient of a feature travels, and as tiles never cross a slice no result
// knows how many ranks there are (docs/decisions/0015).
extension Kernel {
    /// Of each of this rank's rows, the log-sum-exp of its logits with all rows of the other side, and the logit of its own
    /// pair.
    package struct LogSums: KernelCall {
        package let mine: Tensor  // [b,E], unit rows
        package let all: Tensor  // [B,E], unit rows of the other side
        package let logScale: Tensor  // one element
        /// Which of B rows `mine` begins at.
        package let offset: Int
        /// Rows of a slice; divides b.
        package let slice: Int
        package let sums: Tensor  // [b]
        package let own: Tensor  // [b]

        package var name: String { "contrastive log sums" }
        package var inputs: [Tensor] { [mine, all, logScale] }
        package var outputs: [Tensor] { [sums, own] }
        package var flops: Int { 2 * mine.count * all.rows }
    }

    /// The gradients of this rank's rows, and their parts of what is summed over all rows.
    package struct ContrastiveStrip: KernelCall {
        package let mine: Tensor  // [b,E], unit rows
        package let all: Tensor  // [B,E], unit rows of the other side
        package let logScale: Tensor  // one element
        package let logitBias: Tensor?  // one element; sigmoid only
        package let offset: Int
        package let slice: Int
        /// Softmax: log-sum-exps of this rank's rows [b], their own logits [b], log-sum-exps of all rows of the other side
        /// [B]. nil: sigmoid.
        package let softmax: (sums: Tensor, own: Tensor, others: Tensor)?
        /// [b,E]: scale sum_j G_ij all_j over 2B (softmax: G = exp(l - sums_i) + exp(l - others_j) - 2 delta_ij) or over B
        /// (sigmoid: G = sigmoid(l) - delta_ij)
        package let gradient: Tensor
        /// float64 [b,3]: each row's part of loss, d/d log scale and d/d bias, before that division. Softmax: this side's half.
        package let parts: Tensor

        package var name: String { "contrastive strip" }
        package var inputs: [Tensor] {
            [mine, all, logScale] + [logitBias, softmax?.sums, softmax?.own, softmax?.others].compactMap { $0 }
        }
        package var outputs: [Tensor] { [gradient, parts] }
        package var flops: Int { 4 * mine.count * all.rows }
    }
}
