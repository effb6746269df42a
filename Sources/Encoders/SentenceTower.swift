import Layers
package import TensorCore

/// A BERT encoder as text tower, as open_clip's `hf_model_name`: pooled, then projected. With the encoder frozen it
/// is the text half of locked-text tuning (Zhai et al. 2021, arXiv:2111.07991, the towers' roles exchanged).
package struct SentenceTower: Module {
    let shape: SentenceTowerShape
    package var encoder: SentenceEncoder
    var projection: [Parameter]  // [E,D]; or [H,D] and [E,H]

    init(_ source: some ParameterSource, _ shape: SentenceTowerShape, embedWidth: Int, prefix: String) throws {
        self.shape = shape
        encoder = try SentenceEncoder(source, shape.encoder, prefix: prefix + "transformer.")
        let width = shape.encoder.blocks.width
        func matrix(_ name: String, _ inputs: Int, _ outputs: Int) throws -> Parameter {
            try source.parameter(prefix + name, [outputs, inputs], .fanIn(inputs))
        }
        switch shape.projection {
        case .none: projection = []
        case .linear: projection = [try matrix("proj.weight", width, embedWidth)]
        case .mlp:
            let hidden = (width + embedWidth) / 2
            projection = [
                try matrix("proj.0.weight", width, hidden), try matrix("proj.2.weight", hidden, embedWidth),
            ]
        }
    }

    func callAsFunction(_ tokens: TokenBatch, trace: ((Int, Tensor) -> Void)?) -> Tensor {
        // Padding takes no part; a text of nothing else keeps its first token.
        let texts = (0..<tokens.count).map { row in
            let kept = tokens[row].filter { $0 != shape.padding }
            return kept.isEmpty ? Array(tokens.padded(row).prefix(1)) : kept
        }
        let segments = Segments(lengths: texts.map(\.count))
        let x = encoder(texts.flatMap { $0 }, segments, trace: trace)
        let pooled: Tensor
        switch shape.pooling {
        case .mean: pooled = segmentMean(x, segments)
        case .first: pooled = gatherRows(x, Indices(segments.firsts))
        }
        switch shape.projection {
        case .none: return pooled
        case .linear: return linear(pooled, weight: projection[0].value)
        case .mlp:
            return linear(
                linear(pooled, weight: projection[0].value, activation: .gelu), weight: projection[1].value)
        }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try encoder.visit(body)
        try projection.visit(body)
    }
}

package struct SentenceTowerShape: Sendable, Equatable {
    package enum Pooling: Sendable, Equatable { case mean, first }
    package enum Projection: Sendable, Equatable { case none, linear, mlp }

    package let encoder: SentenceShape
    package let pooling: Pooling
    package let projection: Projection
    let padding: Int32
}
