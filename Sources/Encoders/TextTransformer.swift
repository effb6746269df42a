import Foundation
package import Layers
import Support
package import TensorCore

package struct TextShape: Sendable, Equatable {
    /// At which token the text's feature is read.
    package enum Pooling: Sendable, Equatable {
        case first, last
        /// The first of the largest ids: CLIP's end token.
        case argmax
        /// The first token with this id.
        case eos(Int)
    }
    package enum Projection: Sendable, Equatable { case none, matrix, linear }
    /// Which tokens are left out of attention: those after padding (`legacy`, as CoCa's published weights were
    /// trained: open_clip's mask stands one place off) or padding itself.
    package enum ClassToken: Sendable, Equatable { case legacy, exact }

    package var contextLength: Int
    package var vocabulary: Int
    package var blocks: TransformerShape
    package var isCausal: Bool
    /// CoCa: a learned token after the text is read; nil without one.
    package var classToken: ClassToken?
    package var pooling: Pooling
    package var projection: Projection
    package var embedWidth: Int
    package var padding: Int
    /// A BERT encoder in place of the transformer; `blocks` are then its own.
    package var sentence: SentenceTowerShape?

    init(_ json: JSON, embedWidth: Int, quickGELU: Bool, path: String) throws {
        if json["hf_model_name"]?.string != nil {
            self = try TextShape(sentence: json, embedWidth: embedWidth, path: path)
            return
        }
        let cfg = try Section(
            json, path: path, name: "text_cfg",
            known: [
                "context_length", "vocab_size", "hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs", "width",
                "heads",
                "layers", "mlp_ratio", "pad_id", "eos_id", "no_causal_mask", "final_ln_after_pool", "pool_type",
                "proj_bias",
                "proj_type", "output_tokens", "act_kwargs", "hidden_act", "norm_kwargs", "embed_cls",
                "correct_cls_mask",
            ],
            unless: [
                "ls_init_value": .null, "use_pad_mask": false, "qk_norm": false, "scaled_cosine_attn": false,
                "scale_heads": false,
                "scale_attn_inner": false, "scale_attn": false, "scale_fc": false, "block_type": "default",
            ])
        contextLength = try cfg.size("context_length", default: 77)
        vocabulary = try cfg.size("vocab_size", default: 49408)
        let width = try cfg.size("width", default: 512)
        let heads = try cfg.size("heads", default: 8)
        guard width % heads == 0 else { throw cfg.wrong("heads", "\(width) is not divisible by \(heads)") }
        blocks = TransformerShape(
            width: width, layers: try cfg.size("layers", default: 12), heads: heads,
            mlpWidth: try cfg.mlpWidth(width, default: 4),
            activation: try cfg.activation(quickGELU: quickGELU), epsilon: try cfg.epsilon(default: 1e-5))
        isCausal = !(try cfg.bool("no_causal_mask", default: false))
        pooling = try cfg.choice(
            "pool_type", default: "argmax",
            ["argmax": .argmax, "last": .last, "first": .first, "eos": .eos(try cfg.id("eos_id", default: 2))])
        let linear = try cfg.bool("proj_bias", default: false)
        projection = try cfg.choice(
            "proj_type", default: "linear", ["linear": linear ? .linear : .matrix, "none": .none])
        if projection == .none, width != embedWidth {
            throw cfg.wrong(
                "proj_type", "without a projection embed_dim (\(embedWidth)) must be the tower's width (\(width))")
        }
        padding = try cfg.id("pad_id", default: 0)
        if try cfg.bool("embed_cls", default: false) {
            guard isCausal else { throw cfg.wrong("embed_cls", "needs a causal text tower") }
            classToken = try cfg.bool("correct_cls_mask", default: false) ? .exact : .legacy
        }
        self.embedWidth = embedWidth
    }
}

extension TextShape {
    /// open_clip's towers of transformers' models. Their sizes stand in `hf_config`, a key of our own that holds
    /// transformers' `config.json`: open_clip fetches that file instead.
    fileprivate init(sentence json: JSON, embedWidth: Int, path: String) throws {
        let cfg = try Section(
            json, path: path, name: "text_cfg",
            known: [
                "hf_model_name", "hf_tokenizer_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type",
                "hf_config", "context_length", "tokenizer_kwargs", "output_tokens",
            ])
        guard let config = json["hf_config"], config.object != nil else {
            throw cfg.wrong("hf_config", "is missing: name the encoder's folder in the recipe, text_encoder: FOLDER")
        }
        let encoder = try SentenceShape(config, path: path)
        contextLength = try cfg.size("context_length", default: 77)
        guard contextLength <= encoder.positions else {
            throw cfg.wrong("context_length", "\(contextLength), the encoder has \(encoder.positions) positions")
        }
        let projection: SentenceTowerShape.Projection = try cfg.choice(
            "hf_proj_type", default: "mlp", ["linear": .linear, "mlp": .mlp, "none": .none])
        if projection == .none, encoder.blocks.width != embedWidth {
            throw cfg.wrong("hf_proj_type", "without a projection embed_dim must be \(encoder.blocks.width)")
        }
        padding = config["pad_token_id"]?.integer ?? 0
        guard (0..<encoder.vocabulary).contains(padding) else {
            throw cfg.wrong("hf_config", "pad_token_id \(padding) is no id of the vocabulary")
        }
        sentence = SentenceTowerShape(
            encoder: encoder,
            pooling: try cfg.choice(
                "hf_pooler_type", default: "mean_pooler",
                ["mean_pooler": .mean, "cls_last_hidden_state_pooler": .first]),
            projection: projection, padding: Int32(padding))
        (vocabulary, blocks, isCausal) = (encoder.vocabulary, encoder.blocks, false)
        (classToken, pooling, self.projection, self.embedWidth) = (nil, .last, .none, embedWidth)
    }
}

/// The text tower: causal and read at the end token (CLIP), or bidirectional and read at the last (SigLIP).
package struct TextTransformer: Module {
    package let shape: TextShape
    var embedding: Parameter  // [V,D]
    var positions: Parameter  // [T,D], with a class token [T+1,D]
    var classToken: Parameter?  // [D]
    package var transformer: Transformer
    package var norm: LayerNorm
    var projection: Projection

    init(_ source: some ParameterSource, _ shape: TextShape, prefix: String) throws {
        self.shape = shape
        let width = shape.blocks.width
        embedding = try source.parameter(
            prefix + "token_embedding.weight", [shape.vocabulary, width], .normal(deviation: 0.02))
        positions = try source.parameter(
            prefix + "positional_embedding", [shape.contextLength + (shape.classToken == nil ? 0 : 1), width],
            .normal(deviation: 0.01))
        if shape.classToken != nil {
            classToken = try source.parameter(prefix + "cls_emb", [width], .normal(deviation: 0.01))
        }
        transformer = try Transformer(source, prefix + "transformer.resblocks", shape.blocks, .openCLIPText)
        norm = try LayerNorm(source, prefix + "ln_final", width, epsilon: shape.blocks.epsilon)
        let start = Initial.normal(deviation: 1 / Double(width).squareRoot())
        switch shape.projection {
        case .none: projection = .none
        case .matrix:
            projection = .matrix(
                try source.parameter(prefix + "text_projection", [width, shape.embedWidth], start))
        case .linear:
            projection = .linear(
                try source.parameter(prefix + "text_projection.weight", [shape.embedWidth, width], start),
                bias: try source.parameter(prefix + "text_projection.bias", [shape.embedWidth], .zeros))
        }
    }

    /// - Parameters:
    ///   - tokens: B texts, of ids below the vocabulary size
    ///   - isPacked: leave out the tokens after the one that is read. In a causal tower they change
    ///     nothing, so the result is the same for less work.
    ///   - trace: sees the tokens [N,D] after each block
    /// - Returns: [B,E], not normalised
    package func callAsFunction(_ tokens: TokenBatch, isPacked: Bool = true, trace: ((Int, Tensor) -> Void)? = nil)
        -> Tensor
    {
        precondition(
            tokens.contextLength <= shape.contextLength,
            "texts of \(tokens.contextLength) tokens, context \(shape.contextLength)")
        if let classToken { return projection(norm(read(tokens, by: classToken.value))) }
        let ends = (0..<tokens.count).map { readPosition(tokens, $0) }
        let lengths = ends.map { shape.isCausal && isPacked ? $0 + 1 : tokens.contextLength }
        let segments = Segments(lengths: lengths)
        let ids = zip(0..., lengths).flatMap { text, length -> ArraySlice<Int32> in
            let own = tokens[text]
            return own.count >= length ? own.prefix(length) : tokens.padded(text).prefix(length)
        }
        let position = lengths.flatMap { (0..<Int32($0)) }
        var x = gatherRows(embedding.value, Indices(ids))
        x = gatherRows(positions.value, Indices(position), addend: x)  // [N,D]
        let read = Reading(zip(segments.firsts, ends).map { $0 + Int32($1) })
        return projection(norm(transformer(x, segments, causal: shape.isCausal, read, trace: trace)))  // [B,D]
    }

    /// A class token after each text reads it (CoCa). Tokens that the mask hides from all others are not computed.
    private func read(_ tokens: TokenBatch, by classToken: Tensor) -> Tensor {
        let (length, count) = (tokens.contextLength, tokens.count)
        var (ids, places, keys): ([Int32], [Int32], [[Int32]]) = ([], [], [])
        var lengths: [Int] = []
        for row in 0..<count {
            let text = tokens.padded(row)
            func isPadding(_ position: Int) -> Bool { text[position] == Int32(shape.padding) }
            let kept = (0..<length).filter {
                shape.classToken == .exact ? !isPadding($0) : $0 == 0 || !isPadding($0 - 1)
            }
            let seesItself = shape.classToken == .exact || !isPadding(length - 1)
            let first = Int32(ids.count)
            ids += kept.map { text[$0] }
            places += kept.map { Int32($0) }
            lengths.append(kept.count)
            keys.append(kept.indices.map { first + Int32($0) } + (seesItself ? [-1] : []))
        }
        let own = Int32(ids.count)  // the class tokens' rows follow the texts'
        for row in 0..<count { keys[row] = keys[row].map { $0 < 0 ? own + Int32(row) : $0 } }
        let words = gatherRows(embedding.value, Indices(ids))
        let classes = gatherRows(classToken.reshaped([1, classToken.count]), Reading.same(count).rows)
        places += [Int32](repeating: Int32(length), count: count)
        let x = gatherRows(
            positions.value, Indices(places), addend: concatenate([words, classes]))
        let y = transformer(x, ClassTokens(texts: Segments(lengths: lengths), keys: keys))
        return y.slice(ids.count..<ids.count + count)
    }

    /// The token that is read; with padding it stands where it would among the padded ids.
    private func readPosition(_ tokens: TokenBatch, _ text: Int) -> Int {
        let own = tokens[text]
        let first = own.startIndex
        let hasPadding = own.count < tokens.contextLength
        switch shape.pooling {
        case .first: return 0
        case .last: return tokens.contextLength - 1
        case .argmax:
            let largest = own.max() ?? tokens.padding
            if hasPadding, tokens.padding > largest { return own.count }
            return (own.firstIndex(of: largest) ?? first) - first
        case .eos(let id):
            if let place = own.firstIndex(of: Int32(id)) { return place - first }
            return hasPadding && tokens.padding == Int32(id) ? own.count : 0
        }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try positions.visit(body)
        try classToken.visit(body)
        try projection.visit(body)
        try embedding.visit(body)
        try transformer.visit(body)
        try norm.visit(body)
    }
}
