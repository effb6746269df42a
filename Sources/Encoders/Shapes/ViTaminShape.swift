package import Layers
import Support
import TensorCore

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
