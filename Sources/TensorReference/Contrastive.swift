import Foundation
import TensorCore

extension ReferenceDevice {
    /// The dense formula, [B,B] and all.
    func contrastive(_ inputs: Kernel.Contrastive) {
        let (b, e) = (inputs.images.shape[0], inputs.images.shape[1])
        let (x, y, count) = (doubles(inputs.images), doubles(inputs.texts), Double(b))
        let scale = exp(doubles(inputs.logScale)[0])
        let bias = inputs.logitBias.map { doubles($0)[0] } ?? 0
        let cosines = (0..<b * b).map { p in (0..<e).reduce(0) { $0 + x[p / b * e + $1] * y[p % b * e + $1] } }
        let logits = cosines.map { $0 * scale + bias }
        var loss = 0.0
        var slopes = [Double](repeating: 0, count: b * b)  // d loss / d logit
        switch inputs.kind {
        case .softmax:
            func logSumExp(_ values: [Double]) -> Double {
                let top = values.max() ?? 0
                return top + log(values.reduce(0) { $0 + exp($1 - top) })
            }
            let rows = (0..<b).map { i in logSumExp((0..<b).map { logits[i * b + $0] }) }
            let columns = (0..<b).map { j in logSumExp((0..<b).map { logits[$0 * b + j] }) }
            for i in 0..<b {
                loss += (rows[i] + columns[i] - 2 * logits[i * b + i]) / (2 * count)
                for j in 0..<b {
                    let shares = exp(logits[i * b + j] - rows[i]) + exp(logits[i * b + j] - columns[j])
                    slopes[i * b + j] = (shares - (i == j ? 2 : 0)) / (2 * count)
                }
            }
        case .sigmoid:
            for i in 0..<b {
                for j in 0..<b {
                    let signed = i == j ? logits[i * b + j] : -logits[i * b + j]
                    loss += (signed > 0 ? log1p(exp(-signed)) : log1p(exp(signed)) - signed) / count
                    slopes[i * b + j] = (1 / (1 + exp(-logits[i * b + j])) - (i == j ? 1 : 0)) / count
                }
            }
        }
        let (dx, dy) = (doubles(inputs.dImages), doubles(inputs.dTexts))
        for i in 0..<b {
            for c in 0..<e {
                dx[i * e + c] = scale * (0..<b).reduce(0) { $0 + slopes[i * b + $1] * y[$1 * e + c] }
                dy[i * e + c] = scale * (0..<b).reduce(0) { $0 + slopes[$1 * b + i] * x[$1 * e + c] }
            }
        }
        doubles(inputs.loss)[0] = loss
        doubles(inputs.dLogScale)[0] = zip(slopes, cosines).reduce(0) { $0 + $1.0 * $1.1 * scale }
        doubles(inputs.dBias)[0] = inputs.kind == .sigmoid ? slopes.reduce(0, +) : 0
    }
}
