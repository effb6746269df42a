import Scenes
import Foundation
import Shards
import Support

/// Scenes, a model and a recipe small enough to train in a second.
package struct TinyRun {
    package let folder: String
    package var recipe: String { folder + "/tiny.yaml" }

    package init(in folder: String, count: Int = 96, extra: String = "") throws {
        self.folder = folder
        var rules = SceneRules()
        rules.side = 32
        try rules.write(count: count, seed: 1, to: folder + "/train", shardSize: 40, threads: 2)
        try rules.write(count: 32, seed: 2, to: folder + "/validation", threads: 2)
        let model: JSON = [
            "embed_dim": 16,
            "vision_cfg": ["image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8],
            "text_cfg": [
                "context_length": 24, "vocab_size": 512, "width": 16, "heads": 2, "layers": 1, "pool_type": "eos",
                "eos_id": 1,
            ],
        ]
        try AtomicFile.write(model.text(), to: folder + "/model.json")
        try AtomicFile.write(
            """
            seed: 3
            model: \(folder)/model.json
            tokenizer: \(Places.project)/Tokenizers/scenes
            batch: 16
            steps: 12
            optimizer: {rate: 0.001, clip: 1.0}
            schedule: {warmup: 2}
            data: {train: \(folder)/train, augment: {scale: [0.6, 1.0], flip: 0.5}}
            validation: {shards: \(folder)/validation, every: 4}
            checkpoints: {every: 4, keep: 5}
            \(extra)
            """, to: recipe)
    }
}
