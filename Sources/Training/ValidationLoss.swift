import Encoders
import Foundation
import Objectives
import Shards
import Support
import TensorCore
import Tokenization

/// The objective on held-out pairs: the mean over full batches of one fixed pass, evaluation transform. A set smaller than
/// a batch is one batch of all its pairs. The loss depends on the batch size, so that is reported with it.
struct ValidationLoss {
    struct Result {
        let loss: Double
        /// Pairs of a batch.
        let batch: Int
        /// Pairs that the loss is over.
        let pairs: Int
        /// Held-out pairs that fill no further batch, and faulty samples.
        let leftOut: Int
    }

    private let order: SampleOrder
    private let plan: BatchPlan
    private let tokenizer: any Tokenizer
    private let place: String

    /// nil when the recipe names no validation shards.
    ///
    /// - Throws: `Failure(.badData)` for fewer than two pairs, whose loss says nothing
    init?(_ recipe: Recipe, _ setup: TrainingSetup) throws {
        guard !recipe.validationShards.isEmpty else { return nil }
        order = SampleOrder([try ShardSource(recipe.validationShards)], seed: recipe.seed)
        place = recipe.validationShards.joined(separator: ", ")
        guard order.count >= 2 else { throw Self.tooFew(order.count, place) }
        var plan = setup.plan
        plan.augmentation = nil
        plan.decode = .exact
        plan.size = min(plan.size, order.count)
        self.plan = plan
        tokenizer = setup.tokenizer
        // Of a small set every pair counts: whether two can be used is known before the run begins.
        guard order.count <= setup.plan.size else { return }
        let batches = try Batcher(order, plan, tokenizer: tokenizer)
        defer { batches.stop() }
        let usable = try batches.nextOfEpoch()?.count ?? 0
        guard usable >= 2 else { throw Self.tooFew(usable, place, batches.faults.summary) }
    }

    private static func tooFew(_ count: Int, _ place: String, _ faults: String = "") -> Failure {
        Failure(
            .badData, "validation.shards: \(place)",
            "\(count) usable pairs: the loss of fewer than 2 says nothing"
                + (faults.isEmpty ? "" : "; left out: \(faults)"),
            remedy: "Hold out more pairs, or take validation out of the recipe")
    }

    func evaluate(_ model: DualEncoder, objective: Objective) throws -> Result {
        let batches = try Batcher(order, plan, tokenizer: tokenizer)
        defer { batches.stop() }
        var (sum, count, pairs) = (0.0, 0, 0)
        var size = plan.size
        while let batch = try batches.nextOfEpoch() {
            if batch.count < plan.size {
                guard count == 0 else { break }
                guard batch.count >= 2 else { throw Self.tooFew(batch.count, place) }
                size = batch.count
            }
            count += 1
            pairs += batch.count
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
        guard count > 0 else { throw Self.tooFew(0, place) }
        return Result(loss: sum / Double(count), batch: size, pairs: pairs, leftOut: order.count - pairs)
    }
}
