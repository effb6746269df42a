import Foundation
package import Layers
import Support
import TensorCore

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
        let cfg = try ConfigReader(
            json, path: path, section: "text_cfg",
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
        contextLength = try cfg.integer("context_length", default: 77)
        vocabulary = try cfg.integer("vocab_size", default: 49408)
        let width = try cfg.integer("width", default: 512)
        let heads = try cfg.integer("heads", default: 8)
        guard width % heads == 0 else { throw cfg.wrong("heads", "\(width) is not divisible by \(heads)") }
        blocks = TransformerShape(
            width: width, layers: try cfg.integer("layers", default: 12), heads: heads,
            mlpWidth: try cfg.mlpWidth(width, default: 4),
            activation: try cfg.activation(quickGELU: quickGELU), epsilon: try cfg.epsilon(default: 1e-5))
        isCausal = !(try cfg.bool("no_causal_mask", default: false))
        pooling = try cfg.choice(
            "pool_type", default: "argmax",
            ["argmax": .argmax, "last": .last, "first": .first, "eos": .eos(try cfg.integer("eos_id", default: 2))])
        let linear = try cfg.bool("proj_bias", default: false)
        projection = try cfg.choice(
            "proj_type", default: "linear", ["linear": linear ? .linear : .matrix, "none": .none])
        if projection == .none, width != embedWidth {
            throw cfg.wrong(
                "proj_type", "without a projection embed_dim (\(embedWidth)) must be the tower's width (\(width))")
        }
        padding = try cfg.integer("pad_id", default: 0)
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
        let cfg = try ConfigReader(
            json, path: path, section: "text_cfg",
            known: [
                "hf_model_name", "hf_tokenizer_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type",
                "hf_config", "context_length", "tokenizer_kwargs", "output_tokens",
            ])
        guard let config = json["hf_config"], config.object != nil else {
            throw cfg.wrong("hf_config", "is missing: name the encoder's folder in the recipe, text_encoder: FOLDER")
        }
        let encoder = try SentenceShape(config, path: path)
        contextLength = try cfg.integer("context_length", default: 77)
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
