import CKernels
import Foundation
import TensorCore

extension CPUDevice {
    /// PyTorch's order of operations: decay, moments, then the step with both bias corrections.
    func adamW(_ call: Kernel.AdamW) {
        let (squares, step) = (doubles(call.squares), call.step)
        let norm = (0..<call.squares.count).reduce(0) { $0 + squares[$1] }.squareRoot()
        doubles(call.norm)[0] = norm
        guard norm.isFinite, floats(call.loss)[0].isFinite else { return }
        let factor = Kernel.AdamW.clipFactor(norm: norm, limit: step.clip)
        let stepSize = Float(step.rate / (1 - pow(step.beta1, Double(step.step))))
        let correction2 = Float((1 - pow(step.beta2, Double(step.step))).squareRoot())
        for update in call.updates {
            let (p, g) = (floats(update.parameter), floats(update.gradient))
            let (m, v) = (floats(update.mean), floats(update.square))
            let decay = Float(1 - step.rate * (update.decays ? step.weightDecay : 0))
            threads.each(update.parameter.count, by: Self.pointwiseTile) { range in
                let i = range.lowerBound
                ck_adamw(
                    range.count, p + i, g + i, m + i, v + i, Float(factor), Float(1 - step.beta1),
                    Float(step.beta2), Float(1 - step.beta2), decay, stepSize, correction2, Float(step.epsilon))
            }
        }
    }
}
