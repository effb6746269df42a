import Layers
import TensorCore
import Models
import Encoders
import Evaluation
import Foundation
import Support
import TensorCPU
import TestKit
import Testing
import Training
import Weights

@Suite struct LockedTextTests {
    private let encoder = Places.project + "/Tests/Goldens/sentence"

    /// A tiny run whose text tower is the golden BERT encoder.
    private func recipe(_ folder: String, extra: String) throws -> String {
        let tiny = try TinyRun(in: folder)
        let model: JSON = [
            "embed_dim": 16,
            "vision_cfg": ["image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8],
            "text_cfg": [
                "hf_model_name": "tiny", "hf_pooler_type": "mean_pooler", "hf_proj_type": "linear",
                "context_length": 24,
            ],
        ]
        try AtomicFile.write(model.text(), to: folder + "/model.json")
        let path = folder + "/locked.yaml"
        let text = try String(decoding: readFile(tiny.recipe), as: UTF8.self).replacingOccurrences(
            of: "tokenizer: \(Places.project)/Tokenizers/scenes", with: "tokenizer: \(encoder)")
        try AtomicFile.write(text + "\ntext_encoder: \(encoder)\n" + extra, to: path)
        return path
    }

    @Test("A locked sentence encoder stays as it was read, its projection learns, and the folder reads back")
    func locked() throws {
        try Places.withFolder { folder in
            let path = try recipe(folder, extra: "freeze: [\"text.transformer.*\"]\n")
            let trainer = try Trainer(
                Recipe(path), run: RunPlace(folder + "/run", resume: false), on: CPUDevice(threads: 1),
                observer: Watcher())
            let before = Dictionary(uniqueKeysWithValues: trainer.model.parameters.map { ($0.name, $0.value.floats) })
            try trainer.train()
            let file = try Safetensors(encoder + "/model.safetensors")
            for parameter in trainer.model.parameters where parameter.name.hasPrefix("text.") {
                guard parameter.name.hasPrefix("text.transformer.") else {
                    #expect(parameter.value.floats != before[parameter.name], "\(parameter.name)")
                    continue
                }
                #expect(parameter.value.floats == (try file.floats(String(parameter.name.dropFirst(17)))))
            }
            let loaded = try Model(folder + "/run/model", on: CPUDevice(threads: 2))
            let rows = try loaded.encode(texts: ["the red dog runs", ""])
            #expect(rows.count == 32 && rows.allSatisfy(\.isFinite))
        }
    }

    @Test("Without text_encoder, and with a model that has no place for one, the recipe is refused")
    func refused() throws {
        try Places.withFolder { folder in
            let path = try recipe(folder, extra: "")
            let missing = #expect(throws: Failure.self) {
                try TrainingSetup(Recipe(path, overrides: ["text_encoder=null"]))
            }
            #expect(missing?.problem.contains("text_cfg.hf_config: is missing") == true)
            let tiny = try TinyRun(in: folder)
            let other = #expect(throws: Failure.self) {
                try Recipe(tiny.recipe, overrides: ["text_encoder=\(encoder)"])
            }
            #expect(other?.problem.contains("has no hf_model_name") == true)
        }
    }
}
