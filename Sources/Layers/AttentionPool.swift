package import TensorCore

/// Multi-head attention pooling (MAP) as timm's AttentionPoolLatent: one learned probe per image attends
/// to all tokens, then x + MLP(norm(x)).
package struct AttentionPool: Module {
    var latent: Parameter  // [1,1,D]
    var query: Linear
    var keyValue: Linear
    var out: Linear
    var norm: LayerNorm
    var mlp: MLP
    let heads: Int
    let activation: Activation
    private let probes = PerShape<Reading>()

    package init(_ source: some ParameterSource, _ path: String, _ shape: TransformerShape) throws {
        let (width, hidden) = (shape.width, shape.mlpWidth)
        heads = shape.heads
        activation = shape.activation
        latent = try source.parameter(path + ".latent", [1, 1, width], .xavier(1, width))
        query = try Linear(source, path + ".q", width, width, weight: .xavier(width, width), bias: .zeros)
        keyValue = try Linear(source, path + ".kv", width, 2 * width, weight: .xavier(width, width), bias: .zeros)
        out = try Linear(source, path + ".proj", width, width, weight: .xavier(width, width), bias: .zeros)
        norm = try LayerNorm(source, path + ".norm", width, epsilon: shape.epsilon)
        let small = Initial.normal(deviation: 1e-6)
        mlp = .plain(
            expand: try Linear(source, path + ".mlp.fc1", width, hidden, weight: .xavier(width, hidden), bias: small),
            contract: try Linear(source, path + ".mlp.fc2", hidden, width, weight: .xavier(hidden, width), bias: small))
    }

    /// [N,D] tokens of B images -> [B,D]
    package func callAsFunction(_ x: Tensor, _ segments: Segments) -> Tensor {
        let probe = query(latent.value.reshaped([1, x.columns]))  // [1,D]
        let probes = probes(segments.count) { .same(segments.count) }
        let pooled = crossAttention(
            query: gatherRows(probe, probes.rows), probes.segments, keyValue: keyValue(x), segments, heads: heads)
        let y = out(pooled)
        return mlp(norm(y), activation, residual: y)
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try latent.visit(body)
        for part in [\Self.query, \.keyValue, \.out] { try self[keyPath: part].visit(body) }
        try norm.visit(body)
        try mlp.visit(body)
    }
}
