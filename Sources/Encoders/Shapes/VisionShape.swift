package import Layers
import Support
import TensorCore

/// The image tower of the ViT family.
package struct VisionShape: Sendable, Equatable {
    package enum Pooling: Sendable, Equatable {
        case classToken, average, attention
        /// CoCa: the first of several learned queries.
        case queries(count: Int, heads: Int)
    }
    package enum Projection: Sendable, Equatable { case none, matrix, linear(bias: Bool) }

    package var height: Int
    package var width: Int
    package var patch: Int
    package var blocks: TransformerShape
    package var style: BlockStyle
    package var hasClassToken: Bool
    package var hasPatchBias: Bool
    package var hasNormBefore: Bool
    package var isNormAfterPooling: Bool
    package var pooling: Pooling
    package var projection: Projection
    package var embedWidth: Int

    /// Of what the norm after the blocks takes.
    var pooledWidth: Int { if case .queries = pooling { embedWidth } else { blocks.width } }

    /// Tokens that come from patches.
    package var patches: Int { (height / patch) * (width / patch) }

    init(_ json: JSON, embedWidth: Int, quickGELU: Bool, path: String) throws {
        if json["timm_model_name"]?.string != nil {
            self = try VisionShape(timm: json, embedWidth: embedWidth, path: path)
            return
        }
        let cfg = try ConfigReader(
            json, path: path, section: "vision_cfg",
            known: [
                "layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "no_ln_pre", "pool_type",
                "final_ln_after_pool", "act_kwargs", "hidden_act", "norm_kwargs", "output_tokens", "pos_embed_type",
                "attentional_pool",
                "attn_pooler_queries", "attn_pooler_heads",
            ],
            unless: [
                "ls_init_value": .null, "patch_dropout": 0, "qk_norm": false,
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
        if try cfg.bool("attentional_pool", default: false) {
            pooling = .queries(
                count: try cfg.integer("attn_pooler_queries", default: 256),
                heads: try cfg.integer("attn_pooler_heads", default: 8))
        }
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
                "vision_cfg.timm_model_name: \(name) is not a tower this version builds (vit_*_siglip_*, vitamin_*)")
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
            known: ["img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "act_layer"])
        try cfg.expect("timm_pool", "map")
        (height, width) =
            try kwargs.has("img_size") ? kwargs.size("img_size", default: 224) : cfg.size("image_size", default: 224)
        patch = try kwargs.integer("patch_size", default: sizes.patch)
        let towerWidth = try kwargs.integer("embed_dim", default: sizes.width)
        blocks = TransformerShape(
            width: towerWidth, layers: try kwargs.integer("depth", default: sizes.layers),
            heads: try kwargs.integer("num_heads", default: sizes.heads),
            mlpWidth: try kwargs.mlpWidth(towerWidth, default: sizes.mlpRatio),
            activation: try kwargs.has("act_layer")
                ? kwargs.choice("act_layer", default: "gelu", ["gelu": .gelu, "gelu_tanh": .geluTanh])
                : sizes.activation,
            epsilon: 1e-6)
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
