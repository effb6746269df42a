/// Columns start..<start + width of a matrix: q, k or v inside a packed [N, 3D].
package struct ColumnBlock: Sendable {
    package let tensor: Tensor
    package let start: Int
    package let width: Int
}

/// Queries [M,D] over keys and values [N,D], by sequence and head.
package struct AttentionInputs: Sendable {
    package let query: ColumnBlock
    package let key: ColumnBlock
    package let value: ColumnBlock
    package let querySegments: Segments
    package let keySegments: Segments
    package let heads: Int
    /// Token i sees tokens 0...i only.
    package let causal: Bool

    package var headWidth: Int { query.width / heads }
    package var scale: Float { 1 / Float(headWidth).squareRoot() }

    var tensors: [Tensor] {
        var found: [Tensor] = []
        for tensor in [query.tensor, key.tensor, value.tensor]
        where !found.contains(where: { $0.storage === tensor.storage }) { found.append(tensor) }
        return found
    }

    /// Multiplications and additions of the scores and the weighted sum: 4 T_q T_k width by sequence, here half of it.
    var productSize: Int {
        (0..<querySegments.count).reduce(0) { $0 + 2 * querySegments[$1].count * keySegments[$1].count * query.width }
    }
}

extension Kernel {
    /// softmax(scale q k^T) v for every sequence and head, never holding all scores: -> y [M,D], logSumExp float32 [M,H].
    package struct Attention: KernelCall {
        package let operands: AttentionInputs
        package let y: Tensor
        package let logSumExp: Tensor
        package var name: String { "attention" }
        package var inputs: [Tensor] { operands.tensors }
        package var outputs: [Tensor] { [y, logSumExp] }
        package var flops: Int { 2 * operands.productSize }
    }

    /// dQuery, dKey and dValue are blocks of tensors laid out as the inputs; all of their rows are filled.
    package struct AttentionGradient: KernelCall {
        package let operands: AttentionInputs
        package let y: Tensor
        package let logSumExp: Tensor
        package let dy: Tensor
        package let dQuery: ColumnBlock
        package let dKey: ColumnBlock
        package let dValue: ColumnBlock
        package var name: String { "attention gradient" }
        package var inputs: [Tensor] { operands.tensors + [y, logSumExp, dy] }
        package var outputs: [Tensor] {
            AttentionInputs(
                query: dQuery, key: dKey, value: dValue, querySegments: operands.querySegments,
                keySegments: operands.keySegments, heads: operands.heads, causal: false
            ).tensors
        }
        package var flops: Int { 4 * operands.productSize }
    }
}
