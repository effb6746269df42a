import Foundation
import TensorCore

extension ReferenceDevice {
    func logSums(_ call: Kernel.LogSums) {
        let (sums, own) = (doubles(call.sums), doubles(call.own))
        for i in 0..<call.mine.rows {
            let logits = logits(call.mine, i, call.all, exp(doubles(call.logScale)[0]))
            let top = logits.max() ?? 0
            sums[i] = top + log(logits.reduce(0) { $0 + exp($1 - top) })
            own[i] = logits[call.offset + i]
        }
    }

    func contrastiveStrip(_ call: Kernel.ContrastiveStrip) {
        let (scale, width) = (exp(doubles(call.logScale)[0]), call.mine.columns)
        let (all, gradient, parts) = (doubles(call.all), doubles(call.gradient), doubles(call.parts))
        let share = 1 / Double(call.all.rows * (call.softmax == nil ? 1 : 2))
        for i in 0..<call.mine.rows {
            let scaled = logits(call.mine, i, call.all, scale)
            let row: (slopes: [Double], parts: [Double])
            if let softmax = call.softmax {
                row = softmaxRow(scaled, i, call.offset + i, softmax)
            } else {
                row = sigmoidRow(scaled, call.offset + i, call.logitBias.map { doubles($0)[0] } ?? 0)
            }
            for (k, part) in row.parts.enumerated() { parts[i * 3 + k] = part }
            for c in 0..<width {
                let sum = row.slopes.indices.reduce(0) { $0 + row.slopes[$1] * all[$1 * width + c] }
                gradient[i * width + c] = share * scale * sum
            }
        }
    }

    private func logits(_ mine: Tensor, _ i: Int, _ all: Tensor, _ scale: Double) -> [Double] {
        let (x, y, width) = (doubles(mine) + i * mine.columns, doubles(all), mine.columns)
        return (0..<all.rows).map { j in scale * (0..<width).reduce(0) { $0 + x[$1] * y[j * width + $1] } }
    }

    private func softmaxRow(
        _ logits: [Double], _ i: Int, _ match: Int, _ given: (sums: Tensor, own: Tensor, others: Tensor)
    ) -> (slopes: [Double], parts: [Double]) {
        let (sum, own, others) = (doubles(given.sums)[i], doubles(given.own)[i], doubles(given.others))
        let slopes = logits.enumerated().map { j, logit in
            exp(logit - sum) + exp(logit - others[j]) - (j == match ? 2 : 0)
        }
        let along = logits.reduce(0) { $0 + exp($1 - sum) * ($1 - own) }
        return (slopes, [sum - own, along, 0])
    }

    private func sigmoidRow(_ scaled: [Double], _ match: Int, _ bias: Double) -> (slopes: [Double], parts: [Double]) {
        let slopes = scaled.enumerated().map { j, value in 1 / (1 + exp(-value - bias)) - (j == match ? 1 : 0) }
        let loss = scaled.enumerated().reduce(0.0) { sum, entry in
            let logit = entry.element + bias
            return sum + (logit > 0 ? logit : 0) + log1p(exp(-abs(logit))) - (entry.offset == match ? logit : 0)
        }
        let along = zip(slopes, scaled).reduce(0) { $0 + $1.0 * $1.1 }
        return (slopes, [loss, along, slopes.reduce(0, +)])
    }
}
