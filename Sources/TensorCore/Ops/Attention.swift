/// Multi-head self-attention over packed sequences (Vaswani et al. 2017, arXiv:1706.03762).
///
/// - Parameters:
///   - qkv: [N, 3D], queries, keys and values side by side, heads within each
///   - segments: which rows belong together, N in all
/// - Returns: [N, D]. Scores of one sequence and head are held at a time.
public func attention(qkv: Tensor, _ segments: Segments, heads: Int, causal: Bool) -> Tensor {
    precondition(qkv.rows == segments.total, "attention: \(qkv.rows) rows do not hold \(segments.total) tokens")
    precondition(
        qkv.columns % (3 * heads) == 0, "attention: width \(qkv.columns / 3) is not divisible by \(heads) heads")
    let width = qkv.columns / 3
    func blocks(_ x: Tensor) -> (ColumnBlock, ColumnBlock, ColumnBlock) {
        (
            ColumnBlock(tensor: x, start: 0, width: width), ColumnBlock(tensor: x, start: width, width: width),
            ColumnBlock(tensor: x, start: 2 * width, width: width)
        )
    }
    let (query, key, value) = blocks(qkv.detached)
    let inputs = AttentionInputs(
        query: query, key: key, value: value, querySegments: segments, keySegments: segments, heads: heads,
        causal: causal)
    let device = qkv.device
    let (y, logSumExp) = attend(inputs, device)
    return y.recorded(from: [qkv]) { [y = y.detached] dy in
        let dqkv = device.empty(inputs.query.tensor.shape)
        let (dq, dk, dv) = blocks(dqkv)
        device.attentionGradient(inputs, y: y, logSumExp: logSumExp, dy, dQuery: dq, dKey: dk, dValue: dv)
        return [dqkv]
    }
}

/// Attention of one set of tokens over another: attention pooling.
///
/// - Parameters:
///   - query: [M, D]
///   - keyValue: [N, 2D], keys and values side by side
/// - Returns: [M, D]
public func crossAttention(
    query: Tensor, _ querySegments: Segments, keyValue: Tensor, _ keySegments: Segments, heads: Int
) -> Tensor {
    let width = query.columns
    precondition(
        keyValue.columns == 2 * width && width % heads == 0, "crossAttention: \(query.shape), \(keyValue.shape)")
    precondition(
        query.rows == querySegments.total && keyValue.rows == keySegments.total, "crossAttention: token counts")
    precondition(querySegments.count == keySegments.count, "crossAttention: numbers of sequences differ")
    func blocks(_ q: Tensor, _ kv: Tensor) -> (ColumnBlock, ColumnBlock, ColumnBlock) {
        (
            ColumnBlock(tensor: q, start: 0, width: width), ColumnBlock(tensor: kv, start: 0, width: width),
            ColumnBlock(tensor: kv, start: width, width: width)
        )
    }
    let (q, k, v) = blocks(query.detached, keyValue.detached)
    let inputs = AttentionInputs(
        query: q, key: k, value: v, querySegments: querySegments, keySegments: keySegments, heads: heads, causal: false)
    let device = query.device
    let (y, logSumExp) = attend(inputs, device)
    return y.recorded(from: [query, keyValue]) { [y = y.detached] dy in
        let dQuery = device.empty(inputs.query.tensor.shape)
        let dKeyValue = device.empty(inputs.key.tensor.shape)
        let (dq, dk, dv) = blocks(dQuery, dKeyValue)
        device.attentionGradient(inputs, y: y, logSumExp: logSumExp, dy, dQuery: dq, dKey: dk, dValue: dv)
        return [dQuery, dKeyValue]
    }
}

/// Attention of one set of tokens over another, both given with all three parts: [M,3D] and [N,3D] -> [M,D].
public func attention(
    queriesOf x: Tensor, _ querySegments: Segments, keysOf z: Tensor, _ keySegments: Segments, heads: Int
) -> Tensor {
    let width = x.columns / 3
    precondition(x.columns == z.columns && x.columns % (3 * heads) == 0, "attention: \(x.shape), \(z.shape)")
    precondition(x.rows == querySegments.total && z.rows == keySegments.total, "attention: token counts")
    func block(_ tensor: Tensor, _ part: Int) -> ColumnBlock {
        ColumnBlock(tensor: tensor, start: part * width, width: width)
    }
    let inputs = AttentionInputs(
        query: block(x.detached, 0), key: block(z.detached, 1), value: block(z.detached, 2),
        querySegments: querySegments, keySegments: keySegments, heads: heads, causal: false)
    let device = x.device
    let (y, logSumExp) = attend(inputs, device)
    return y.recorded(from: [x, z]) { [y = y.detached] dy in
        let (dx, dz) = (device.zeros(inputs.query.tensor.shape), device.zeros(inputs.key.tensor.shape))
        device.attentionGradient(
            inputs, y: y, logSumExp: logSumExp, dy, dQuery: block(dx, 0), dKey: block(dz, 1), dValue: block(dz, 2))
        return [dx, dz]
    }
}

private func attend(_ inputs: AttentionInputs, _ device: any Device) -> (y: Tensor, logSumExp: Tensor) {
    let tokens = inputs.querySegments.total
    let y = device.empty([tokens, inputs.query.width])
    let logSumExp = device.empty([tokens, inputs.heads])
    device.attention(inputs, into: y, logSumExp: logSumExp)
    return (y, logSumExp)
}
