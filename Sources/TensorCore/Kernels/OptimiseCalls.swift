/// Hyper-parameters of one AdamW step (Loshchilov and Hutter 2019, arXiv:1711.05101).
package struct AdamWStep: Sendable {
    package var rate: Double
    package var beta1: Double
    package var beta2: Double
    package var epsilon: Double
    /// Of parameters that decay.
    package var weightDecay: Double
    /// Counted from 1, for the corrections of the moments' start at 0.
    package var step: Int
    /// Gradients longer than this, all as one vector, are shortened to it; nil: as they are.
    package var clip: Double?

    package init(
        rate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, step: Int
    ) {
        (self.rate, self.step, self.weightDecay) = (rate, step, weightDecay)
        (self.beta1, self.beta2, self.epsilon) = (beta1, beta2, epsilon)
    }
}

/// One parameter of an AdamW step, all tensors of its shape.
package struct AdamWUpdate: Sendable {
    package let parameter: Tensor
    package let gradient: Tensor
    package let mean: Tensor
    package let square: Tensor
    package let decays: Bool

    package init(parameter: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, decays: Bool) {
        (self.parameter, self.gradient, self.decays) = (parameter, gradient, decays)
        (self.mean, self.square) = (mean, square)
    }
}

extension Kernel {
    /// One AdamW step on all parameters and moments, in place. With norm = sqrt(sum of squares) gradients are multiplied by
    /// min(1, clip / (norm + 1e-6)), PyTorch's clip_grad_norm_. Where the loss or the norm is not finite nothing changes.
    package struct AdamW: KernelCall {
        package let updates: [AdamWUpdate]
        /// float64, the sums of squares of all gradients; added in their order
        package let squares: Tensor
        package let loss: Tensor  // []
        package let step: AdamWStep
        /// float64 [], filled
        package let norm: Tensor

        package var name: String { "AdamW" }
        package var inputs: [Tensor] { updates.map(\.gradient) + [squares, loss] }
        package var outputs: [Tensor] { updates.flatMap { [$0.parameter, $0.mean, $0.square] } + [norm] }

        /// What gradients are multiplied by.
        package static func clipFactor(norm: Double, limit: Double?) -> Double {
            limit.map { min(1, $0 / (norm + 1e-6)) } ?? 1
        }
    }
}
