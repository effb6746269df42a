/// Multi-head self-attention over packed sequences (Vaswani et al. 2017, arXiv:1706.03762).
///
/// - Parameters:
///   - qkv: [N, 3D], queries, keys and values side by side, heads within each
///   - segments: which rows belong together, N in all
/// - Returns: [N, D]. Scores of one sequence and head are held at a time.
package func attention(qkv: Tensor, _ segments: Segments, heads: Int, causal: Bool) -> Tensor {
    let width = qkv.columns / 3
    precondition(qkv.columns % (3 * heads) == 0, "attention: width \(width) is not divisible by \(heads) heads")
    return attend([qkv], (segments, segments), heads: heads, causal: causal) { x in
        (
            ColumnBlock(tensor: x[0], start: 0, width: width), ColumnBlock(tensor: x[0], start: width, width: width),
            ColumnBlock(tensor: x[0], start: 2 * width, width: width)
        )
    }
}

/// Attention of one set of tokens over another: attention pooling.
///
/// - Parameters:
///   - query: [M, D]
///   - keyValue: [N, 2D], keys and values side by side
/// - Returns: [M, D]
package func crossAttention(
    query: Tensor, _ querySegments: Segments, keyValue: Tensor, _ keySegments: Segments, heads: Int
) -> Tensor {
    let width = query.columns
    precondition(
        keyValue.columns == 2 * width && width % heads == 0, "crossAttention: \(query.shape), \(keyValue.shape)")
    return attend([query, keyValue], (querySegments, keySegments), heads: heads) { x in
        (
            ColumnBlock(tensor: x[0], start: 0, width: width), ColumnBlock(tensor: x[1], start: 0, width: width),
            ColumnBlock(tensor: x[1], start: width, width: width)
        )
    }
}

/// Attention of one set of tokens over another, both given with all three parts: [M,3D] and [N,3D] -> [M,D].
package func attention(
    queriesOf x: Tensor, _ querySegments: Segments, keysOf z: Tensor, _ keySegments: Segments, heads: Int
) -> Tensor {
    let width = x.columns / 3
    precondition(x.columns == z.columns && x.columns % (3 * heads) == 0, "attention: \(x.shape), \(z.shape)")
    // Parts that take no part get no gradient.
    return attend([x, z], (querySegments, keySegments), heads: heads, partly: true) { x in
        (
            ColumnBlock(tensor: x[0], start: 0, width: width), ColumnBlock(tensor: x[1], start: width, width: width),
            ColumnBlock(tensor: x[1], start: 2 * width, width: width)
        )
    }
}

/// - Parameters:
///   - tensors: what queries, keys and values stand in
///   - partly: they do not fill them
///   - blocks: where they stand, there and in the gradients
private func attend(
    _ tensors: [Tensor], _ segments: (query: Segments, key: Segments), heads: Int, causal: Bool = false,
    partly: Bool = false, _ blocks: @escaping ([Tensor]) -> (ColumnBlock, ColumnBlock, ColumnBlock)
) -> Tensor {
    let (query, key, value) = blocks(tensors.map(\.detached))
    precondition(
        query.tensor.rows == segments.query.total && key.tensor.rows == segments.key.total,
        "attention: rows \(query.tensor.rows), \(key.tensor.rows) do not hold \(segments.query.total), \(segments.key.total) tokens"
    )
    precondition(segments.query.count == segments.key.count, "attention: numbers of sequences differ")
    let operands = AttentionInputs(
        query: query, key: key, value: value, querySegments: segments.query, keySegments: segments.key, heads: heads,
        causal: causal)
    let device = query.tensor.device
    let y = query.tensor.empty([segments.query.total, query.width])
    let logSumExp = device.empty([segments.query.total, heads])
    device.run(.attention(.init(operands: operands, y: y, logSumExp: logSumExp)))
    return y.recorded(from: tensors) { [y = y.detached, shapes = tensors.map(\.shape)] dy in
        let gradients = shapes.map { partly ? device.zeros($0, dy.element) : dy.empty($0) }
        let (dQuery, dKey, dValue) = blocks(gradients)
        device.run(
            .attentionGradient(
                .init(
                    operands: operands, y: y, logSumExp: logSumExp, dy: dy, dQuery: dQuery, dKey: dKey, dValue: dValue))
        )
        return gradients
    }
}
