import Layers
import Support
import TensorCore

/// The sizes of a dual encoder, read from open_clip's JSON model configuration as it is.
public struct Blueprint: Sendable, Equatable {
    /// `model_cfg`, verbatim: what is written back beside the weights.
    public let config: JSON
    /// E, the width of the space both towers meet in.
    public let embedWidth: Int
    public let vision: VisionShape
    public let text: TextShape
    /// `custom_text`: the text tower's parameters stand under `text.`.
    public let hasTextPrefix: Bool
    /// The logarithm of the logit scale at the start.
    public let initialLogScale: Float
    public let initialLogitBias: Float?

    /// - Parameter path: the file, for messages.
    /// - Throws: `Failure(.badData)` naming the key that is missing, wrong or not supported.
    public init(_ config: JSON, path: String) throws {
        let top = try ConfigReader(
            config, path: path, section: "model_cfg",
            known: [
                "embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale",
                "init_logit_bias", "nonscalar_logit_scale",
            ])
        self.config = config
        embedWidth = try top.integer("embed_dim")
        let quick = try top.bool("quick_gelu", default: false)
        let vision = try VisionShape(
            config["vision_cfg"] ?? .null, embedWidth: embedWidth, quickGELU: quick, path: path)
        self.vision = vision
        text = try TextShape(config["text_cfg"] ?? .null, embedWidth: embedWidth, quickGELU: quick, path: path)
        hasTextPrefix = try top.bool("custom_text", default: false)
        initialLogScale = Float(try top.number("init_logit_scale", default: 2.6592600369327783))
        initialLogitBias = config["init_logit_bias"]?.number.map { Float($0) }
    }
}

/// The image tower of the ViT family.
public struct VisionShape: Sendable, Equatable {
    public enum Pooling: Sendable, Equatable { case classToken, average, attention }
    public enum Projection: Sendable, Equatable { case none, matrix, linear(bias: Bool) }

    public var height: Int
    public var width: Int
    public var patch: Int
    public var blocks: TransformerShape
    public var style: BlockStyle
    public var hasClassToken: Bool
    public var hasPatchBias: Bool
    public var hasNormBefore: Bool
    public var isNormAfterPooling: Bool
    public var pooling: Pooling
    public var projection: Projection
    public var embedWidth: Int

    /// Tokens that come from patches.
    public var patches: Int { (height / patch) * (width / patch) }

    init(_ json: JSON, embedWidth: Int, quickGELU: Bool, path: String) throws {
        if json["timm_model_name"]?.string != nil {
            self = try VisionShape(timm: json, embedWidth: embedWidth, path: path)
            return
        }
        if json["layers"]?.array != nil {
            throw Failure(.badData, path, "vision_cfg.layers: ModifiedResNet towers are not built yet")
        }
        let cfg = try ConfigReader(
            json, path: path, section: "vision_cfg",
            known: [
                "layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "no_ln_pre", "pool_type",
                "final_ln_after_pool", "act_kwargs", "norm_kwargs", "output_tokens", "pos_embed_type",
            ],
            unless: [
                "ls_init_value": .null, "patch_dropout": 0, "attentional_pool": false, "qk_norm": false,
                "scaled_cosine_attn": false,
                "scale_heads": false, "scale_attn_inner": false, "scale_attn": false, "scale_fc": false,
                "block_type": "default",
            ])
        try cfg.expect("pos_embed_type", "learnable")
        (height, width) = try cfg.size("image_size", default: 224)
        patch = try cfg.integer("patch_size", default: 16)
        let towerWidth = try cfg.integer("width", default: 768)
        let headWidth = try cfg.integer("head_width", default: 64)
        guard towerWidth % headWidth == 0 else {
            throw cfg.wrong("head_width", "\(towerWidth) is not divisible by \(headWidth)")
        }
        guard height >= patch, width >= patch else { throw cfg.wrong("image_size", "smaller than one patch") }
        blocks = TransformerShape(
            width: towerWidth, layers: try cfg.integer("layers", default: 12), heads: towerWidth / headWidth,
            mlpWidth: try cfg.mlpWidth(towerWidth, default: 4),
            activation: try cfg.activation(quickGELU: quickGELU), epsilon: try cfg.epsilon(default: 1e-5))
        style = .openCLIPImage
        hasClassToken = true
        hasPatchBias = false
        hasNormBefore = !(try cfg.bool("no_ln_pre", default: false))
        isNormAfterPooling = try cfg.bool("final_ln_after_pool", default: false)
        pooling = try cfg.choice("pool_type", default: "tok", ["tok": .classToken, "avg": .average])
        projection = .matrix
        self.embedWidth = embedWidth
    }

    /// timm's SigLIP towers: no class token, a bias on the patches, attention pooling. The sizes follow
    /// from the registered name; `timm_model_kwargs` (our key) changes them.
    private init(timm json: JSON, embedWidth: Int, path: String) throws {
        let name = json["timm_model_name"]?.string ?? ""
        guard let sizes = Self.timmSizes(name) else {
            throw Failure(
                .badData, path,
                "vision_cfg.timm_model_name: \(name) is not a tower this version builds (vit_*_siglip_*)")
        }
        let cfg = try ConfigReader(
            json, path: path, section: "vision_cfg",
            known: [
                "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_model_kwargs", "image_size",
                "timm_proj_bias",
            ],
            unless: ["timm_drop": 0, "timm_drop_path": .null, "patch_dropout": 0])
        let kwargs = try ConfigReader(
            json["timm_model_kwargs"] ?? .object([:]), path: path, section: "timm_model_kwargs",
            known: ["img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio"])
        try cfg.expect("timm_pool", "map")
        (height, width) =
            try kwargs.has("img_size") ? kwargs.size("img_size", default: 224) : cfg.size("image_size", default: 224)
        patch = try kwargs.integer("patch_size", default: sizes.patch)
        let towerWidth = try kwargs.integer("embed_dim", default: sizes.width)
        blocks = TransformerShape(
            width: towerWidth, layers: try kwargs.integer("depth", default: sizes.layers),
            heads: try kwargs.integer("num_heads", default: sizes.heads),
            mlpWidth: try kwargs.mlpWidth(towerWidth, default: sizes.mlpRatio),
            activation: sizes.activation, epsilon: 1e-6)
        guard towerWidth % blocks.heads == 0 else { throw kwargs.wrong("num_heads", "does not divide \(towerWidth)") }
        guard height >= patch, width >= patch else { throw cfg.wrong("image_size", "smaller than one patch") }
        style = .timm
        hasClassToken = false
        hasPatchBias = true
        hasNormBefore = false
        isNormAfterPooling = false
        pooling = .attention
        projection = try cfg.choice(
            "timm_proj", default: "linear",
            ["none": .none, "linear": .linear(bias: try cfg.bool("timm_proj_bias", default: false))])
        if projection == .none, towerWidth != embedWidth {
            throw cfg.wrong(
                "timm_proj", "without a projection embed_dim (\(embedWidth)) must be the tower's width (\(towerWidth))")
        }
        self.embedWidth = embedWidth
    }

    private struct TimmSizes {
        let patch: Int
        let width: Int
        let layers: Int
        var heads = 16
        var mlpRatio = 4.0
        let activation: Activation
    }

    /// timm's registered `vit_<size>_patch<p>_siglip_<resolution>`: those added with SigLIP 2 use the tanh GELU.
    private static func timmSizes(_ name: String) -> TimmSizes? {
        let words = name.split(separator: ".").first?.split(separator: "_") ?? []
        guard words.count == 5, words[0] == "vit", words[3] == "siglip", words[2].hasPrefix("patch"),
            let patch = Int(words[2].dropFirst(5)), let side = Int(words[4])
        else { return nil }
        switch words[1] {
        case "base":
            return TimmSizes(
                patch: patch, width: 768, layers: 12, heads: 12, activation: patch == 32 ? .geluTanh : .gelu)
        case "large":
            return TimmSizes(patch: patch, width: 1024, layers: 24, activation: side == 512 ? .geluTanh : .gelu)
        case "so400m":
            return TimmSizes(
                patch: patch, width: 1152, layers: 27, mlpRatio: 3.7362, activation: patch == 16 ? .geluTanh : .gelu)
        case "giantopt": return TimmSizes(patch: patch, width: 1536, layers: 40, activation: .geluTanh)
        default: return nil
        }
    }
}

public struct TextShape: Sendable, Equatable {
    /// At which token the text's feature is read.
    public enum Pooling: Sendable, Equatable {
        case first, last
        /// The first of the largest ids: CLIP's end token.
        case argmax
        /// The first token with this id.
        case eos(Int)
    }
    public enum Projection: Sendable, Equatable { case none, matrix, linear }

    public var contextLength: Int
    public var vocabulary: Int
    public var blocks: TransformerShape
    public var isCausal: Bool
    public var pooling: Pooling
    public var projection: Projection
    public var embedWidth: Int
    public var padding: Int

    init(_ json: JSON, embedWidth: Int, quickGELU: Bool, path: String) throws {
        let cfg = try ConfigReader(
            json, path: path, section: "text_cfg",
            known: [
                "context_length", "vocab_size", "hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs", "width",
                "heads",
                "layers", "mlp_ratio", "pad_id", "eos_id", "no_causal_mask", "final_ln_after_pool", "pool_type",
                "proj_bias",
                "proj_type", "output_tokens", "act_kwargs", "norm_kwargs",
            ],
            unless: [
                "ls_init_value": .null, "embed_cls": false, "qk_norm": false, "scaled_cosine_attn": false,
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
        self.embedWidth = embedWidth
    }
}
