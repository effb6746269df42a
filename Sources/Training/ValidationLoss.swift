import Encoders
import Foundation
import Objectives
import Shards
import Support
import TensorCore
import Tokenization

/// The objective on held-out pairs: the mean over full batches of one fixed pass, evaluation transform.
struct ValidationLoss {
    private let order: SampleOrder
    private let plan: BatchPlan
    private let tokenizer: any Tokenizer

    /// nil when the recipe names no validation shards.
    init?(_ recipe: Recipe, _ setup: TrainingSetup) throws {
        guard !recipe.validationShards.isEmpty else { return nil }
        order = SampleOrder([try ShardSource(recipe.validationShards)], seed: recipe.seed)
        var plan = setup.plan
        plan.augmentation = nil
        plan.decode = .exact
        // Small sets leave room for a faulty sample.
        plan.size = min(plan.size, max(1, order.count / 2))
        self.plan = plan
        tokenizer = setup.tokenizer
    }

    func evaluate(_ model: DualEncoder, objective: Objective) throws -> Double {
        let batches = Batcher(order, plan, tokenizer: tokenizer)
        defer { batches.stop() }
        var sum = 0.0
        var count = 0
        for _ in 0..<batches.batchesPerEpoch {
            let batch = try batches.next()
            guard batches.position.epoch == 0 else { break }  // faults left no further full batch
            count += 1
            sum += withoutTape {
                let images = model.device.tensor(
                    batch.images, shape: [batch.count, 3, plan.preprocess.height, plan.preprocess.width])
                let texts = TokenBatch(batch.tokens, contextLength: plan.contextLength)
                return Double(
                    objective.loss(
                        images: model.encode(images: images), texts: model.encode(texts: texts),
                        logScale: model.logScale.value,
                        logitBias: model.logitBias?.value
                    ).scalar)
            }
        }
        return sum / Double(max(1, count))
    }
}
