import Encoders
import Evaluation
import Foundation
import Images
import Models
import Processes
import Scenes
import Support
import TensorCPU
import TestKit
import Testing
import Tokenization
import Layers

/// What ranks share out comes to what one process has.
@Suite struct SharedEvaluationTests {
    private static let config: JSON = [
        "embed_dim": 16,
        "vision_cfg": ["image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8],
        "text_cfg": [
            "context_length": 24, "vocab_size": 512, "width": 16, "heads": 2, "layers": 1, "pool_type": "eos",
            "eos_id": 1,
        ],
    ]

    private static func model() throws -> Model {
        let blueprint = try Blueprint(config, path: "model")
        return Model(
            encoder: try DualEncoder(FreshParameters(on: CPUDevice(threads: 1), seed: 4), blueprint),
            preprocess: try Preprocess(.object([:]), height: 16, width: 16, path: "model"),
            tokenizer: try TokenizerCard(Places.project + "/Tokenizers/scenes").load(), name: "tiny")
    }

    @Test("Three ranks judge as one does, at rank 0 alone")
    func retrieval() throws {
        try Places.withFolder { folder in
            var rules = SceneRules()
            rules.side = 32
            try rules.write(count: 150, seed: 2, to: folder + "/held", threads: 2)
            let task = try TaskFile.read(Places.project + "/Evals/tasks/scenes-retrieval.yaml")
            let evaluator = try Evaluator(task: task, data: folder + "/held")
            let one = try #require(try evaluator.run(Ensemble(Self.model())))
            let ranks = try ThreadGroup.run(3) { try evaluator.run(Ensemble(Self.model()), over: $0) }
            #expect(ranks[1] == nil && ranks[2] == nil)
            let shared = try #require(ranks[0])
            #expect(shared.features.images == one.features.images && shared.features.texts == one.features.texts)
            #expect(shared.answerLines == one.answerLines && shared.lines == one.lines)
        }
    }

    @Test("A rank with other data is named")
    func otherData() throws {
        try Places.withFolder { folder in
            var rules = SceneRules()
            rules.side = 32
            let task = try TaskFile.read(Places.project + "/Evals/tasks/scenes-retrieval.yaml")
            for seed in 0..<2 {
                try rules.write(count: 20, seed: UInt64(seed + 1), to: "\(folder)/\(seed)", threads: 2)
            }
            let failure = #expect(throws: Failure.self) {
                try ThreadGroup.run(2) { group in
                    let evaluator = try Evaluator(task: task, data: "\(folder)/\(group.rank)")
                    _ = try evaluator.run(Ensemble(Self.model()), over: group)
                }
            }
            #expect(failure != nil)
        }
    }

    @Test("Images that are left out are the same ones, in order")
    func skipping() throws {
        let model = try Self.model()
        @Sendable func load(_ index: Int) throws -> any Raster {
            guard index % 50 != 7 else { throw Failure(.badData, "image \(index)", "is broken", remedy: "Mend it") }
            return PixelImage(width: 16, height: 16, pixels: [UInt8](repeating: UInt8(index), count: 16 * 16 * 3))
        }
        func run(_ group: any ProcessGroup) throws -> (rows: [Float], left: [String]) {
            var left: [String] = []
            let rows = try Model.encode(
                [model], images: 200, over: group, skip: { left.append("\($0) \($1)") }, load)
            return (rows[0], left)
        }
        let one = try run(Alone())
        #expect(one.left.count == 4)
        let ranks = try ThreadGroup.run(3) { group in
            var left: [String] = []
            let rows = try Model.encode(
                [model], images: 200, over: group, skip: { left.append("\($0) \($1)") }, load)
            return (rows: rows[0], left: left)
        }
        #expect(ranks[0].rows == one.rows && ranks[1].rows.isEmpty)
        #expect(ranks.allSatisfy { $0.left == one.left })
    }
}
