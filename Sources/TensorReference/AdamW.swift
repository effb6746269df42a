import Foundation
import TensorCore

extension ReferenceDevice {
    func adamW(_ call: Kernel.AdamW) {
        let (squares, step) = (doubles(call.squares), call.step)
        let norm = (0..<call.squares.count).reduce(0) { $0 + squares[$1] }.squareRoot()
        doubles(call.norm)[0] = norm
        guard norm.isFinite, doubles(call.loss)[0].isFinite else { return }
        let factor = Kernel.AdamW.clipFactor(norm: norm, limit: step.clip)
        let correction1 = 1 - pow(step.beta1, Double(step.step))
        let correction2 = (1 - pow(step.beta2, Double(step.step))).squareRoot()
        for update in call.updates {
            let (p, g) = (doubles(update.parameter), doubles(update.gradient))
            let (m, v) = (doubles(update.mean), doubles(update.square))
            for i in 0..<update.parameter.count {
                let slope = g[i] * factor
                p[i] *= 1 - step.rate * (update.decays ? step.weightDecay : 0)
                m[i] = step.beta1 * m[i] + (1 - step.beta1) * slope
                v[i] = step.beta2 * v[i] + (1 - step.beta2) * slope * slope
                p[i] -= step.rate / correction1 * m[i] / (v[i].squareRoot() / correction2 + step.epsilon)
            }
        }
    }
}
