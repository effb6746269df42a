import Foundation
package import Layers
package import Support
package import TensorCore

/// Sizes of a BERT encoder, read from transformers' `config.json`.
package struct SentenceShape: Sendable, Equatable {
    package let blocks: TransformerShape
    package let vocabulary: Int
    /// Rows of the position table: the longest text, [CLS] and [SEP] included.
    package let positions: Int
    let types: Int

    /// - Throws: `Failure(.badData)` naming the key that does not fit.
    package init(_ config: JSON, path: String) throws {
        let config = try Section(config, path: path)
        try config.choice("model_type", default: nil, ["bert": ()])
        try config.expect("position_embedding_type", "absolute")
        let width = try config.size("hidden_size", default: 768)
        let heads = try config.size("num_attention_heads", default: 12)
        guard width % heads == 0 else {
            throw config.wrong("num_attention_heads", "\(width) is not divisible by \(heads)")
        }
        blocks = TransformerShape(
            width: width, layers: try config.integer("num_hidden_layers", default: 12, in: 1...1000), heads: heads,
            mlpWidth: try config.size("intermediate_size", default: 3072),
            activation: try config.choice(
                "hidden_act", default: "gelu",
                ["gelu": .gelu, "gelu_new": .geluTanh, "gelu_pytorch_tanh": .geluTanh, "relu": .relu]),
            epsilon: Float(try config.number("layer_norm_eps", default: 1e-12)))
        vocabulary = try config.size("vocab_size", default: 30522)
        positions = try config.size("max_position_embeddings", default: 512)
        types = try config.size("type_vocab_size", default: 2)
    }
}

/// BERT's encoder (Devlin et al. 2018, arXiv:1810.04805): x = norm(x + attention(x)), then norm(x + MLP(x)).
/// Parameters carry transformers' names.
package struct SentenceEncoder: Module {
    package let shape: SentenceShape
    var words: Parameter  // [V,D]
    var positions: Parameter  // [T,D]
    var types: Parameter  // [2,D]
    var norm: LayerNorm
    var blocks: [Block]

    package init(_ source: some ParameterSource, _ shape: SentenceShape, prefix: String = "") throws {
        self.shape = shape
        let width = shape.blocks.width
        func table(_ name: String, _ rows: Int) throws -> Parameter {
            try source.parameter("\(prefix)embeddings.\(name).weight", [rows, width], .normal(deviation: 0.02))
        }
        words = try table("word_embeddings", shape.vocabulary)
        positions = try table("position_embeddings", shape.positions)
        types = try table("token_type_embeddings", shape.types)
        norm = try LayerNorm(source, prefix + "embeddings.LayerNorm", width, epsilon: shape.blocks.epsilon)
        blocks = try (0..<shape.blocks.layers).map {
            try Block(source, "\(prefix)encoder.layer.\($0).", shape.blocks)
        }
    }

    /// Padding is not computed: the texts' own tokens are packed.
    ///
    /// - Parameters:
    ///   - ids: the texts' tokens one after the other, [CLS] and [SEP] included, N in all
    ///   - trace: sees the tokens after each block
    /// - Returns: [N,D]
    package func callAsFunction(_ ids: [Int32], _ segments: Segments, trace: ((Int, Tensor) -> Void)? = nil) -> Tensor {
        precondition(
            segments.longest <= shape.positions, "a text of \(segments.longest) tokens, \(shape.positions) fit")
        let places = (0..<segments.count).flatMap { (0..<Int32(segments[$0].count)) }
        var x = gatherRows(words.value, Indices(ids))
        x = gatherRows(types.value, Indices([Int32](repeating: 0, count: ids.count)), addend: x)
        x = norm(gatherRows(positions.value, Indices(places), addend: x))
        for (index, block) in blocks.enumerated() {
            x = block(x, segments)
            trace?(index, x)
        }
        return x
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try words.visit(body)
        try positions.visit(body)
        try types.visit(body)
        try norm.visit(body)
        try blocks.visit(body)
    }

    struct Block: Module {
        var query: Linear
        var key: Linear
        var value: Linear
        var out: Linear
        var norm1: LayerNorm
        var expand: Linear
        var contract: Linear
        var norm2: LayerNorm
        let shape: TransformerShape

        init(_ source: some ParameterSource, _ path: String, _ shape: TransformerShape) throws {
            self.shape = shape
            func layer(_ name: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
                try Linear(source, path + name, inputs, outputs, weight: .normal(deviation: 0.02), bias: .zeros)
            }
            let (width, hidden) = (shape.width, shape.mlpWidth)
            query = try layer("attention.self.query", width, width)
            key = try layer("attention.self.key", width, width)
            value = try layer("attention.self.value", width, width)
            out = try layer("attention.output.dense", width, width)
            norm1 = try LayerNorm(source, path + "attention.output.LayerNorm", width, epsilon: shape.epsilon)
            expand = try layer("intermediate.dense", width, hidden)
            contract = try layer("output.dense", hidden, width)
            norm2 = try LayerNorm(source, path + "output.LayerNorm", width, epsilon: shape.epsilon)
        }

        func callAsFunction(_ x: Tensor, _ segments: Segments) -> Tensor {
            let parts = [query, key, value]
            let qkv = linear(
                x, weight: concatenate(parts.map(\.weight.value)),
                bias: concatenate(parts.compactMap { $0.bias?.value }))
            let y = norm1(out(attention(qkv: qkv, segments, heads: shape.heads, causal: false), residual: x))
            return norm2(
                feedForward(
                    y, expand: (expand.weight.value, expand.bias?.value), activation: shape.activation,
                    contract: (contract.weight.value, contract.bias?.value), residual: y))
        }

        mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
            try query.visit(body)
            try key.visit(body)
            try value.visit(body)
            try out.visit(body)
            try norm1.visit(body)
            try expand.visit(body)
            try contract.visit(body)
            try norm2.visit(body)
        }
    }
}
