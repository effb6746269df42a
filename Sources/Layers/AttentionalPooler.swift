package import TensorCore

/// Sizes of a pooler.
package struct PoolerShape: Sendable, Equatable {
    package let width: Int
    package let heads: Int
    package let queries: Int
    package let epsilon: Float

    package init(width: Int, heads: Int, queries: Int, epsilon: Float) {
        (self.width, self.heads, self.queries, self.epsilon) = (width, heads, queries, epsilon)
    }
}

/// Attention pooling with learned queries, as open_clip's AttentionalPooler (CoCa, Yu et al. 2022,
/// arXiv:2205.01917): norm(queries) attends to norm(tokens). The width may change on the way.
package struct AttentionalPooler: Module {
    var query: Parameter  // [Q,E]
    /// One [3E,E] matrix, or [E,E], [E,D], [E,D] where the tokens' width is another.
    var weights: [Parameter]
    var bias: Parameter  // [3E]
    var out: Linear
    var normQuery: LayerNorm
    var normKey: LayerNorm
    let heads: Int
    private let queries = PerShape<Reading>()

    package init(_ source: some ParameterSource, _ path: String, tokenWidth: Int, _ shape: PoolerShape) throws {
        let (width, epsilon) = (shape.width, shape.epsilon)
        heads = shape.heads
        query = try source.parameter(path + ".query", [shape.queries, width], .normal(deviation: 1))
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
    package func callAsFunction(_ x: Tensor, _ segments: Segments) -> Tensor {
        let width = query.value.columns
        let matrix = weights.count == 1 ? weights[0].value : nil
        let queryWeight = matrix?.slice(0..<width) ?? weights[0].value
        let keyValueWeight = matrix?.slice(width..<3 * width) ?? concatenate([weights[1].value, weights[2].value])
        let column = bias.value.reshaped([3 * width, 1])
        let first = linear(
            normQuery(query.value.slice(0..<1)), weight: queryWeight, bias: column.slice(0..<width).reshaped([width]))
        let keyValue = linear(
            normKey(x), weight: keyValueWeight, bias: column.slice(width..<3 * width).reshaped([2 * width]))
        let queries = queries(segments.count) { .same(segments.count) }
        return out(
            crossAttention(
                query: gatherRows(first, queries.rows), queries.segments, keyValue: keyValue, segments, heads: heads))
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try query.visit(body)
        try weights.visit(body)
        try bias.visit(body)
        for part in [\Self.normQuery, \.normKey] { try self[keyPath: part].visit(body) }
        try out.visit(body)
    }
}
