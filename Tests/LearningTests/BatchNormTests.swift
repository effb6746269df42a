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

@Suite struct BatchNormTests {
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

    @Test("A frozen batch norm keeps its statistics, one that is trained follows the batches")
    func frozenNorms() throws {
        let tower = try model(Self.resNet)
        let pixels: [Float] = (0..<6144).map { (index: Int) -> Float in Float(index % 17) / 9 - 1 }
        let images = tower.device.tensor(pixels, shape: [2, 3, 32, 32])
        let texts = TokenBatch(padded: [1, 2, 3, 19, 0, 0, 4, 5, 19, 0, 0, 0], contextLength: 6)
        let task = LearningTask.contrastive(tower, .softmax)
        let batch = PairBatch(images: ImageBatch(images), texts: texts)
        func statistics() -> [Float] { tower.state.filter { $0.role == .buffer }.flatMap { $0.value.floats } }
        let before = statistics()
        _ = task.gradients(batch) { $0.hasPrefix("visual.") }
        #expect(statistics() == before)
        _ = task.gradients(batch)
        #expect(statistics() != before)
    }

    @Test("Batch normalisation follows the batches in training only")
    func runningStatistics() throws {
        var tower = try model(Self.resNet)
        let images = tower.device.filled(0.3, shape: [3, 3, 32, 32])
        func mean() -> [Float] { tower.state.first { $0.name == "visual.bn1.running_mean" }!.value.floats }
        _ = tower.image(images)
        #expect(mean().allSatisfy { $0 == 0 })
        tower.isTraining = true
        _ = tower.image(images)
        #expect(mean().contains { $0 != 0 })
        let counted = tower.state.first { $0.name == "visual.bn1.num_batches_tracked" }!.value.scalar
        #expect(counted == 1)
        try Places.withFolder { folder in
            try ModelFolder.write(tower, preprocess: [:], to: folder)
            let back = try DualEncoder.read(folder, on: tower.device).model
            #expect(back.state.first { $0.name == "visual.bn1.running_mean" }!.value.floats == mean())
        }
    }
}
