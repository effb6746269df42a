import CKernels
import Foundation
import TensorCore

extension CPUDevice {
    /// PyTorch's order of operations: decay, moments, then the step with both bias corrections.
    public func adamW(_ parameter: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, _ step: AdamWStep) {
        let (p, g, m, v) = (floats(parameter), floats(gradient), floats(mean), floats(square))
        let stepSize = Float(step.rate / (1 - pow(step.beta1, Double(step.step))))
        let correction2 = Float((1 - pow(step.beta2, Double(step.step))).squareRoot())
        threads.each(parameter.count, by: Self.pointwiseTile) { range in
            let i = range.lowerBound
            ck_adamw(
                range.count, p + i, g + i, m + i, v + i, Float(step.gradientFactor), Float(1 - step.beta1),
                Float(step.beta2), Float(1 - step.beta2), Float(1 - step.rate * step.weightDecay), stepSize,
                correction2, Float(step.epsilon))
        }
    }
}
