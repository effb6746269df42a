import Foundation
import TensorCore

extension ReferenceDevice {
    public func adamW(_ parameter: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, _ step: AdamWStep) {
        let (p, g, m, v) = (doubles(parameter), doubles(gradient), doubles(mean), doubles(square))
        let correction1 = 1 - pow(step.beta1, Double(step.step))
        let correction2 = (1 - pow(step.beta2, Double(step.step))).squareRoot()
        for i in 0..<parameter.count {
            let slope = g[i] * step.gradientFactor
            p[i] *= 1 - step.rate * step.weightDecay
            m[i] = step.beta1 * m[i] + (1 - step.beta1) * slope
            v[i] = step.beta2 * v[i] + (1 - step.beta2) * slope * slope
            p[i] -= step.rate / correction1 * m[i] / (v[i].squareRoot() / correction2 + step.epsilon)
        }
    }
}
