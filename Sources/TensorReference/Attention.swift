import Foundation
import TensorCore

extension ReferenceDevice {
    func attention(_ call: Kernel.Attention) {
        let (inputs, out, lse) = (call.operands, doubles(call.y), doubles(call.logSumExp))
        eachHead(inputs) { head, queries, keys, width in
            for i in queries {
                let scores = self.scores(inputs, head, i, queries, keys, width)
                let top = scores.max() ?? 0
                let total = scores.reduce(0) { $0 + exp($1 - top) }
                lse[i * inputs.heads + head] = top + log(total)
                for j in 0..<width {
                    out[i * inputs.query.width + head * width + j] = zip(keys, scores).reduce(0) {
                        $0 + exp($1.1 - top) / total * self.at(inputs.value, $1.0, head * width + j)
                    }
                }
            }
        }
    }

    func attentionGradient(_ call: Kernel.AttentionGradient) {
        let inputs = call.operands
        let (dQuery, dKey, dValue) = (call.dQuery, call.dKey, call.dValue)
        let (d, out, lse, total) = (doubles(call.dy), doubles(call.y), doubles(call.logSumExp), inputs.query.width)
        eachHead(inputs) { head, queries, keys, width in
            let columns = head * width..<(head + 1) * width
            for i in queries { for j in columns { self.set(dQuery, i, j, 0) } }
            for i in keys {
                for j in columns {
                    self.set(dKey, i, j, 0)
                    self.set(dValue, i, j, 0)
                }
            }
            for i in queries {
                let scores = self.scores(inputs, head, i, queries, keys, width)
                let along = columns.reduce(0) { $0 + d[i * total + $1] * out[i * total + $1] }
                for (key, score) in zip(keys, scores) {
                    let p = exp(score - lse[i * inputs.heads + head])
                    let dp = columns.reduce(0) { $0 + d[i * total + $1] * self.at(inputs.value, key, $1) }
                    let ds = p * (dp - along) * Double(inputs.scale)
                    for j in columns {
                        self.set(dValue, key, j, self.at(dValue, key, j) + p * d[i * total + j])
                        self.set(dQuery, i, j, self.at(dQuery, i, j) + ds * self.at(inputs.key, key, j))
                        self.set(dKey, key, j, self.at(dKey, key, j) + ds * self.at(inputs.query, i, j))
                    }
                }
            }
        }
    }

    private func eachHead(_ inputs: AttentionInputs, _ body: (Int, Range<Int>, Range<Int>, Int) -> Void) {
        for s in 0..<inputs.querySegments.count {
            for head in 0..<inputs.heads {
                body(head, inputs.querySegments[s], inputs.keySegments[s], inputs.headWidth)
            }
        }
    }

    /// Scaled scores of query i over the keys it may see.
    private func scores(
        _ inputs: AttentionInputs, _ head: Int, _ i: Int, _ queries: Range<Int>, _ keys: Range<Int>, _ width: Int
    ) -> [Double] {
        let visible = inputs.causal ? keys.prefix(i - queries.lowerBound + 1) : keys
        return visible.map { key in
            (head * width..<(head + 1) * width).reduce(0) { $0 + at(inputs.query, i, $1) * at(inputs.key, key, $1) }
                * Double(inputs.scale)
        }
    }

    private func at(_ block: ColumnBlock, _ row: Int, _ column: Int) -> Double {
        doubles(block.tensor)[row * block.tensor.columns + block.start + column]
    }

    private func set(_ block: ColumnBlock, _ row: Int, _ column: Int, _ value: Double) {
        doubles(block.tensor)[row * block.tensor.columns + block.start + column] = value
    }
}
