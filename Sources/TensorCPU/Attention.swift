import CKernels
import TensorCore

/// One (sequence, head) is one tile: its scores live in a scratch block of the thread, so no
/// [B,H,T,T] tensor exists. The backward pass makes them again from the kept log-sum-exp.
extension CPUDevice {
    func attention(_ call: Kernel.Attention) {
        let (inputs, y) = (call.operands, call.y)
        let (out, lse) = (floats(y), floats(call.logSumExp))
        eachHead(inputs, scratch: 1) { head, queries, keys, scratch, stride in
            let width = inputs.headWidth
            let first = head * width
            let (q, k) = (start(inputs.query, queries, first), start(inputs.key, keys, first))
            let v = start(inputs.value, keys, first)
            let result = out + queries.lowerBound * y.columns + first
            multiply(queries.count, keys.count, width, q, k.transpose, into: scratch, stride)
            ck_softmax_scores(
                queries.count, keys.count, stride, inputs.scale, inputs.causal ? 1 : 0, scratch,
                lse + queries.lowerBound * inputs.heads + head, inputs.heads)
            multiply(queries.count, width, keys.count, MatrixView(scratch, stride), v, into: result, y.columns)
        }
    }

    func attentionGradient(_ call: Kernel.AttentionGradient) {
        let (inputs, y) = (call.operands, call.y)
        let (out, d, lse) = (floats(y), floats(call.dy), floats(call.logSumExp))
        eachHead(inputs, scratch: 2) { head, queries, keys, scratch, stride in
            let width = inputs.headWidth
            let first = head * width
            let (q, k) = (start(inputs.query, queries, first), start(inputs.key, keys, first))
            let v = start(inputs.value, keys, first)
            let (dq, dk) = (start(call.dQuery, queries, first), start(call.dKey, keys, first))
            let dv = start(call.dValue, keys, first)
            let at = queries.lowerBound * y.columns + first
            let dOut = MatrixView(d + at, y.columns)
            let (p, dp) = (scratch, scratch + queries.count * stride)
            multiply(queries.count, keys.count, width, q, k.transpose, into: p, stride)
            ck_probabilities(
                queries.count, keys.count, stride, inputs.scale, inputs.causal ? 1 : 0, p,
                lse + queries.lowerBound * inputs.heads + head, inputs.heads)
            multiply(
                keys.count, width, queries.count, MatrixView(p, stride, transposed: true), dOut, into: dv.start,
                dv.stride)
            multiply(queries.count, keys.count, width, dOut, v.transpose, into: dp, stride)
            ck_score_gradient(
                queries.count, keys.count, stride, width, y.columns, inputs.scale, p, out + at, d + at, dp)
            multiply(queries.count, width, keys.count, MatrixView(dp, stride), k, into: dq.start, dq.stride)
            multiply(
                keys.count, width, queries.count, MatrixView(dp, stride, transposed: true), q, into: dk.start,
                dk.stride)
        }
    }

    private func start(_ block: ColumnBlock, _ rows: Range<Int>, _ column: Int) -> MatrixView {
        let columns = block.tensor.columns
        return MatrixView(floats(block.tensor) + rows.lowerBound * columns + block.start + column, columns)
    }

    private func eachHead(
        _ inputs: AttentionInputs, scratch blocks: Int,
        _ body: (Int, Range<Int>, Range<Int>, UnsafeMutablePointer<Float>, Int) -> Void
    ) {
        func stride(_ keys: Int) -> Int { (keys + 7) / 8 * 8 }  // as the kernels want it
        let size = inputs.querySegments.longest * stride(inputs.keySegments.longest) * blocks
        threads.each(inputs.querySegments.count) { s in
            let (keys, scratch) = (inputs.keySegments[s], empty([size]))
            for head in 0..<inputs.heads {
                body(head, inputs.querySegments[s], keys, floats(scratch), stride(keys.count))
            }
        }
    }
}
