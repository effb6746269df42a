package import Encoders
import Layers
package import Support
import TensorCPU

/// Models of a few thousand parameters, of the kinds there are.
package enum TinyModels {
    package static let clip: JSON = [
        "embed_dim": 12, "quick_gelu": true,
        "vision_cfg": ["image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8],
        "text_cfg": ["context_length": 9, "vocab_size": 40, "width": 12, "heads": 2, "layers": 2],
    ]
    package static let siglip: JSON = [
        "embed_dim": 16, "custom_text": true, "init_logit_bias": -10,
        "vision_cfg": [
            "image_size": 20, "timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map", "timm_proj": "none",
            "timm_model_kwargs": ["embed_dim": 16, "depth": 1, "num_heads": 2, "patch_size": 8],
        ],
        "text_cfg": [
            "context_length": 9, "vocab_size": 40, "width": 16, "heads": 2, "layers": 1, "no_causal_mask": true,
            "proj_bias": true, "pool_type": "last", "norm_kwargs": ["eps": 1e-6], "act_kwargs": ["approximate": "tanh"],
        ],
    ]
    package static let resNet: JSON = [
        "embed_dim": 8, "vision_cfg": ["image_size": 32, "layers": [1, 1, 1, 1], "width": 4, "head_width": 16],
        "text_cfg": ["context_length": 6, "vocab_size": 20, "width": 8, "heads": 2, "layers": 1],
    ]

    /// With drawn weights.
    package static func model(_ config: JSON) throws -> DualEncoder {
        try DualEncoder(FreshParameters(on: CPUDevice(), seed: 3), Blueprint(config, path: "model"))
    }
}
