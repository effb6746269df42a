package import Layers
import Support
import TensorCore

/// Which image tower a configuration describes, and its sizes.
package enum ImageShape: Sendable, Equatable {
    case transformer(VisionShape)
    case resNet(ResNetShape)
    case vitamin(ViTaminShape)

    init(_ json: JSON, embedWidth: Int, quickGELU: Bool, path: String) throws {
        if json["timm_model_name"]?.string?.hasPrefix("vitamin_") == true {
            self = .vitamin(try ViTaminShape(json, embedWidth: embedWidth, path: path))
        } else if json["layers"]?.array != nil {
            self = .resNet(try ResNetShape(json, embedWidth: embedWidth, path: path))
        } else {
            self = .transformer(try VisionShape(json, embedWidth: embedWidth, quickGELU: quickGELU, path: path))
        }
    }

    /// Of the images the tower takes.
    package var height: Int {
        switch self {
        case .transformer(let shape): shape.height
        case .resNet(let shape): shape.side
        case .vitamin(let shape): shape.height
        }
    }

    package var width: Int {
        switch self {
        case .transformer(let shape): shape.width
        case .resNet(let shape): shape.side
        case .vitamin(let shape): shape.width
        }
    }

    /// About the float32 values per image that a training step keeps for the backward pass.
    package func keptValues(recomputes: Bool) -> Int {
        switch self {
        case .transformer(let shape):
            return shape.blocks.keptValues(tokens: shape.patches + 1, recomputes: recomputes)
        // Windows of 9 and a dozen maps a block.
        case .resNet(let shape):
            return shape.layers.enumerated().reduce(12 * shape.side * shape.side * shape.width) { sum, stage in
                sum + stage.element * 28 * (shape.side >> (stage.offset + 2)) * (shape.side >> (stage.offset + 2))
                    * (shape.width << stage.offset)
            }
        case .vitamin(let shape):
            return shape.blocks.keptValues(tokens: shape.tokens, isGated: true, recomputes: recomputes)
                + shape.stages.enumerated().reduce(0) { sum, stage in
                    sum + stage.element.depth * 22 * (shape.height >> (stage.offset + 2))
                        * (shape.width >> (stage.offset + 2)) * stage.element.channels
                }
        }
    }
}

/// CLIP's ModifiedResNet.
package struct ResNetShape: Sendable, Equatable {
    package var side: Int
    /// Blocks of the four stages.
    package var layers: [Int]
    package var width: Int
    package var heads: Int
    package var embedWidth: Int

    package var featureWidth: Int { width * 32 }
    /// Pixels of the last map.
    package var pixels: Int { (side / 32) * (side / 32) }

    init(_ json: JSON, embedWidth: Int, path: String) throws {
        let cfg = try ConfigReader(
            json, path: path, section: "vision_cfg",
            known: ["layers", "width", "head_width", "image_size", "patch_size", "output_tokens"])
        layers = json["layers"]?.array?.compactMap(\.integer) ?? []
        guard layers.count == 4, layers.allSatisfy({ (1...100).contains($0) }) else {
            throw cfg.wrong("layers", "a ResNet needs four numbers of blocks")
        }
        let size = try cfg.size("image_size", default: 224)
        guard size.height == size.width, size.height >= 32 else {
            throw cfg.wrong("image_size", "a ResNet needs a square of at least 32")
        }
        side = size.height
        width = try cfg.integer("width", default: 64)
        let headWidth = try cfg.integer("head_width", default: 64)
        heads = width * 32 / headWidth
        guard heads > 0, width * 32 % heads == 0, width % 2 == 0 else {
            throw cfg.wrong("head_width", "\(headWidth) does not divide 32 x \(width)")
        }
        self.embedWidth = embedWidth
    }
}

/// timm's ViTamin.
package struct ViTaminShape: Sendable, Equatable {
    package struct Stage: Sendable, Equatable {
        package let channels: Int
        package let depth: Int
    }

    package var height: Int
    package var width: Int
    package var stem: Int
    /// The two convolutional stages.
    package var stages: [Stage]
    package var blocks: TransformerShape
    package var hasPositions: Bool
    package var hasProjectionBias: Bool
    package var embedWidth: Int

    /// Four halvings, rounded up as strided convolutions do.
    package var tokens: Int { ((height + 15) / 16) * ((width + 15) / 16) }

    init(_ json: JSON, embedWidth: Int, path: String) throws {
        let cfg = try ConfigReader(
            json, path: path, section: "vision_cfg",
            known: [
                "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_model_kwargs", "image_size",
                "timm_proj_bias", "timm_drop", "timm_drop_path",
            ], unless: ["patch_dropout": 0])
        let kwargs = try ConfigReader(
            json["timm_model_kwargs"] ?? .object([:]), path: path, section: "timm_model_kwargs",
            known: ["img_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "embed_cfg", "pos_embed"])
        let name = try cfg.string("timm_model_name")
        let words = name.split(separator: ".")[0].split(separator: "_")
        let registered: [Substring: (stem: Int, width: Int, depth: Int, heads: Int)] = [
            "small": (64, 384, 14, 6), "base": (128, 768, 14, 12), "large": (160, 1024, 31, 16),
            "large2": (160, 1024, 31, 16), "xlarge": (192, 1152, 32, 16),
        ]
        guard words.count == 3, let sizes = registered[words[1]] else {
            throw cfg.wrong("timm_model_name", "\(name) is not a ViTamin (small, base, large, large2, xlarge)")
        }
        try cfg.expect("timm_pool", "")
        try cfg.expect("timm_proj", "linear")
        (height, width) =
            try kwargs.has("img_size") ? kwargs.size("img_size", default: 224) : cfg.size("image_size", default: 224)
        let towerWidth = try kwargs.integer("embed_dim", default: sizes.width)
        blocks = TransformerShape(
            width: towerWidth, layers: try kwargs.integer("depth", default: sizes.depth),
            heads: try kwargs.integer("num_heads", default: sizes.heads),
            mlpWidth: try kwargs.mlpWidth(towerWidth, default: 2), activation: .gelu, epsilon: 1e-6)
        guard towerWidth % blocks.heads == 0 else { throw kwargs.wrong("num_heads", "does not divide \(towerWidth)") }
        let convolutions = try ConfigReader(
            json["timm_model_kwargs"]?["embed_cfg"] ?? .object([:]), path: path, section: "embed_cfg",
            known: ["embed_dim", "depths", "stem_width"])
        stem = try convolutions.integer("stem_width", default: sizes.stem)
        let channels = try convolutions.integers("embed_dim", default: [sizes.stem, 2 * sizes.stem, sizes.width])
        let depths = try convolutions.integers("depths", default: [2, 4, 1])
        guard channels.count == 3, depths.count >= 2, channels[2] == towerWidth else {
            throw convolutions.wrong("embed_dim", "needs two stages' channels and the tower's width, \(towerWidth)")
        }
        stages = zip(channels, depths).prefix(2).map { Stage(channels: $0, depth: $1) }
        let isExtraLarge = words[1] == "xlarge"
        hasPositions = try kwargs.choice(
            "pos_embed", default: isExtraLarge ? "none" : "learn", ["none": false, "learn": true])
        hasProjectionBias = try cfg.bool("timm_proj_bias", default: false)
        self.embedWidth = embedWidth
    }
}

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
