import CKernels
import COpenBLAS
import TensorCore

/// One (sequence, head) is one tile: its scores live in a scratch block of the thread, so no
/// [B,H,T,T] tensor exists. The backward pass makes them again from the kept log-sum-exp.
extension CPUDevice {
    public func attention(_ inputs: AttentionInputs, into y: Tensor, logSumExp: Tensor) {
        let (out, lse) = (floats(y), floats(logSumExp))
        eachHead(inputs, scratch: 1) { head, queries, keys, scratch in
            let width = inputs.headWidth
            let first = head * width
            let (q, k) = (start(inputs.query, queries, first), start(inputs.key, keys, first))
            let v = start(inputs.value, keys, first)
            let result = out + queries.lowerBound * y.columns + first
            gemm(queries.count, keys.count, width, q, false, k, true, scratch, keys.count, 0)
            ck_softmax_scores(
                queries.count, keys.count, keys.count, inputs.scale, inputs.causal ? 1 : 0, scratch,
                lse + queries.lowerBound * inputs.heads + head, inputs.heads)
            gemm(queries.count, width, keys.count, (scratch, keys.count), false, v, false, result, y.columns, 0)
        }
    }

    public func attentionGradient(
        _ inputs: AttentionInputs, y: Tensor, logSumExp: Tensor, _ dy: Tensor, dQuery: ColumnBlock, dKey: ColumnBlock,
        dValue: ColumnBlock
    ) {
        let (out, d, lse) = (floats(y), floats(dy), floats(logSumExp))
        eachHead(inputs, scratch: 2) { head, queries, keys, scratch in
            let width = inputs.headWidth
            let first = head * width
            let (q, k) = (start(inputs.query, queries, first), start(inputs.key, keys, first))
            let v = start(inputs.value, keys, first)
            let (dq, dk) = (start(dQuery, queries, first), start(dKey, keys, first))
            let dv = start(dValue, keys, first)
            let at = queries.lowerBound * y.columns + first
            let (p, dp) = (scratch, scratch + queries.count * keys.count)
            gemm(queries.count, keys.count, width, q, false, k, true, p, keys.count, 0)
            ck_probabilities(
                queries.count, keys.count, keys.count, inputs.scale, inputs.causal ? 1 : 0, p,
                lse + queries.lowerBound * inputs.heads + head, inputs.heads)
            gemm(keys.count, width, queries.count, (p, keys.count), true, (d + at, y.columns), false, dv.0, dv.1, 0)
            gemm(queries.count, keys.count, width, (d + at, y.columns), false, v, true, dp, keys.count, 0)
            ck_score_gradient(
                queries.count, keys.count, keys.count, width, y.columns, inputs.scale, p, out + at, d + at, dp)
            gemm(queries.count, width, keys.count, (dp, keys.count), false, k, false, dq.0, dq.1, 0)
            gemm(keys.count, width, queries.count, (dp, keys.count), true, q, false, dk.0, dk.1, 0)
        }
    }

    private typealias Block = (UnsafeMutablePointer<Float>, Int)

    private func start(_ block: ColumnBlock, _ rows: Range<Int>, _ column: Int) -> Block {
        let columns = block.tensor.columns
        return (floats(block.tensor) + rows.lowerBound * columns + block.start + column, columns)
    }

    private func eachHead(
        _ inputs: AttentionInputs, scratch blocks: Int,
        _ body: (Int, Range<Int>, Range<Int>, UnsafeMutablePointer<Float>) -> Void
    ) {
        let size = inputs.querySegments.longest * inputs.keySegments.longest * blocks
        threads.each(inputs.querySegments.count) { s in
            let scratch = empty([size])
            for head in 0..<inputs.heads {
                body(head, inputs.querySegments[s], inputs.keySegments[s], floats(scratch))
            }
        }
    }
}

/// c [m,n] = op(a) op(b) + beta c on one thread, every operand with its own leading dimension.
func gemm(
    _ m: Int, _ n: Int, _ k: Int, _ a: (UnsafeMutablePointer<Float>, Int), _ aT: Bool,
    _ b: (UnsafeMutablePointer<Float>, Int), _ bT: Bool, _ c: UnsafeMutablePointer<Float>, _ ldc: Int, _ beta: Float
) {
    cblas_sgemm(
        CblasRowMajor, aT ? CblasTrans : CblasNoTrans, bT ? CblasTrans : CblasNoTrans, Int32(m), Int32(n), Int32(k), 1,
        a.0, Int32(a.1), b.0, Int32(b.1), beta, c, Int32(ldc))
}
