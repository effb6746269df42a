import Doctor
import Encoders
import Foundation
import Layers
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing

@Suite struct ConversionTests {
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

    @Test("A model goes to transformers' form and back with every bit", arguments: [clip, siglip])
    func huggingFace(_ config: JSON) throws {
        let original = try model(config)
        try Places.withFolder { folder in
            try HuggingFaceFolder.write(original, preprocess: [:], to: folder)
            let back = try DualEncoder.read(folder, on: original.device).model
            let values = Dictionary(uniqueKeysWithValues: back.state.map { ($0.name, $0.value.floats) })
            #expect(original.state.count == back.state.count)
            for parameter in original.state { #expect(values[parameter.name] == parameter.value.floats) }
            try Places.withFolder { ours in
                try ModelFolder.write(original, preprocess: [:], to: ours)
                let comparison = try ModelComparison(ours, against: folder, on: original.device).run()
                #expect(!comparison.hasFailed)
            }
        }
    }

    @Test("Towers that transformers has no form for are refused by name")
    func refused() throws {
        let original = try model(Self.resNet)
        try Places.withFolder { folder in
            let failure = #expect(throws: Failure.self) {
                try HuggingFaceFolder.write(original, preprocess: [:], to: folder)
            }
            #expect(failure?.problem == "CLIPModel and SiglipModel have no place for an image tower of another kind")
        }
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

    @Test("Resizing keeps everything but positions, and positions of the same size")
    func resizing() throws {
        let original = try model(Self.clip)
        let larger = try original.resized(imageSize: 32, contextLength: 12, path: "model")
        #expect(larger.blueprint.vision.height == 32)
        let old = Dictionary(uniqueKeysWithValues: original.state.map { ($0.name, $0.value) })
        for parameter in larger.state {
            if parameter.name.hasSuffix("positional_embedding") {
                #expect(parameter.value.shape != old[parameter.name]!.shape)
            } else {
                #expect(parameter.value.floats == old[parameter.name]!.floats)
            }
        }
        let flat = [Float](repeating: 2.5, count: 3 * 17)
        #expect(PositionEmbedding.resized(flat, width: 3, prefix: 1, toHeight: 7, width: 5)?.count == 3 * 36)
        let constant = PositionEmbedding.resized(flat, width: 3, prefix: 1, toHeight: 7, width: 5) ?? []
        #expect(constant.allSatisfy { abs($0 - 2.5) < 1e-6 })
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
