import Doctor
import Encoders
import Evaluation
import Foundation
import Images
import Layers
import Learning
import Models
import Objectives
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing
import Training
import Weights

@Suite struct ComparisonTests {
    static let clip: JSON = [
        "embed_dim": 12, "quick_gelu": true,
        "vision_cfg": ["image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8],
        "text_cfg": ["context_length": 9, "vocab_size": 40, "width": 12, "heads": 2, "layers": 2],
    ]
    static let siglip: JSON = [
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
    static let resNet: JSON = [
        "embed_dim": 8, "vision_cfg": ["image_size": 32, "layers": [1, 1, 1, 1], "width": 4, "head_width": 16],
        "text_cfg": ["context_length": 6, "vocab_size": 20, "width": 8, "heads": 2, "layers": 1],
    ]

    private func model(_ config: JSON) throws -> DualEncoder {
        try DualEncoder(FreshParameters(on: CPUDevice(), seed: 3), Blueprint(config, path: "model"))
    }

    @Test("Two different models are told apart, and the first stage that differs is named")
    func comparison() throws {
        let first = try model(Self.clip)
        var second = first
        second.visit {
            if $0.name == "ln_final.weight" { $0.value = first.device.filled(1.5, shape: [12]) }
        }
        try Places.withFolder { folder in
            for (name, model) in [("a", first), ("b", second)] {
                try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
                try ModelFolder.write(model, preprocess: [:], to: "\(folder)/\(name)")
            }
            let result = try ModelComparison("\(folder)/a", against: "\(folder)/b", on: first.device).run()
            let failed = result.stages.filter { if case .failed = $0.outcome { true } else { false } }.map(\.stage)
            #expect(failed == ["parameters", "text features"])  // a scaled feature has the same direction
        }
    }
}
