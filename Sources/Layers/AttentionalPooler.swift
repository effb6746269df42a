import TensorCore

/// Attention pooling with learned queries, as open_clip's AttentionalPooler (CoCa, Yu et al. 2022,
/// arXiv:2205.01917): norm(queries) attends to norm(tokens). The width may change on the way.
public struct AttentionalPooler: Module {
    var query: Parameter  // [Q,E]
    /// One [3E,E] matrix, or [E,E], [E,D], [E,D] where the tokens' width is another.
    var weights: [Parameter]
    var bias: Parameter  // [3E]
    var out: Linear
    var normQuery: LayerNorm
    var normKey: LayerNorm
    let heads: Int

    public init(
        _ source: some ParameterSource, _ path: String, tokenWidth: Int, width: Int, heads: Int, queries: Int,
        epsilon: Float
    ) throws {
        self.heads = heads
        query = try source.parameter(path + ".query", [queries, width], .normal(deviation: 1))
        if tokenWidth == width {
            weights = [
                try source.parameter(path + ".attn.in_proj_weight", [3 * width, width], .xavier(width, 3 * width))
            ]
        } else {
            weights = try [("q", width), ("k", tokenWidth), ("v", tokenWidth)].map { name, inputs in
                try source.parameter("\(path).attn.\(name)_proj_weight", [width, inputs], .xavier(inputs, width))
            }
        }
        bias = try source.parameter(path + ".attn.in_proj_bias", [3 * width], .zeros)
        out = try Linear(source, path + ".attn.out_proj", width, width, weight: .fanIn(width), bias: .zeros)
        normQuery = try LayerNorm(source, path + ".ln_q", width, epsilon: epsilon)
        normKey = try LayerNorm(source, path + ".ln_k", tokenWidth, epsilon: epsilon)
    }

    /// What the first query reads, CLIP's feature: [N,D] tokens of B images -> [B,E]. (The others feed CoCa's
    /// caption decoder.)
    public func callAsFunction(_ x: Tensor, _ segments: Segments) -> Tensor {
        let width = query.value.columns
        let matrix = weights.count == 1 ? weights[0].value : nil
        let queryWeight = matrix?.slice(0..<width) ?? weights[0].value
        let keyValueWeight = matrix?.slice(width..<3 * width) ?? concatenate([weights[1].value, weights[2].value])
        let column = bias.value.reshaped([3 * width, 1])
        let first = linear(
            normQuery(query.value.slice(0..<1)), weight: queryWeight, bias: column.slice(0..<width).reshaped([width]))
        let keyValue = linear(
            normKey(x), weight: keyValueWeight, bias: column.slice(width..<3 * width).reshaped([2 * width]))
        let zeros = x.device.tensor([Int32](repeating: 0, count: segments.count), shape: [segments.count])
        return out(
            crossAttention(
                query: gatherRows(first, zeros), Segments(count: segments.count, length: 1), keyValue: keyValue,
                segments,
                heads: heads))
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&query)
        for index in weights.indices { try body(&weights[index]) }
        try body(&bias)
        for part in [\Self.normQuery, \.normKey] { try self[keyPath: part].visit(body) }
        try out.visit(body)
    }
}
