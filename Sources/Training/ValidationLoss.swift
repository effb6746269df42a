import Images
import Encoders
import Foundation
import Learning
import Processes
import Records
import Shards
import Support
import TensorCore
import Tokenization

/// The objective on held-out pairs: the mean over full batches of one fixed pass, evaluation transform. A set smaller than
/// a batch is one batch of all its pairs. The loss depends on the batch size, so that is reported with it.
struct ValidationLoss {
    private let order: SampleOrder
    private let plan: BatchPlan
    private let tokenizer: any Tokenizer
    private let place: String

    /// nil when the recipe names no validation shards.
    ///
    /// - Throws: `Failure(.badData)` for fewer than two pairs, whose loss says nothing
    init?(_ recipe: Recipe, _ setup: TrainingSetup) throws {
        guard !recipe.due.validationShards.isEmpty else { return nil }
        order = try SampleOrder([try ShardSource(recipe.due.validationShards)], seed: recipe.seed)
        place = recipe.due.validationShards.joined(separator: ", ")
        guard order.count >= 2 else { throw Self.tooFew(order.count, place) }
        var plan = setup.plan
        plan.augmentation = nil
        plan.decode = .exact
        plan.size = min(plan.size, order.count)
        self.plan = plan
        tokenizer = setup.tokenizer
        // Of a small set every pair counts: whether two can be used is known before the run begins.
        guard order.count <= setup.plan.size else { return }
        let batches = try Batcher(order, plan, tokenizer: tokenizer, isEndless: false)
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

    /// Collective: batches are dealt out in turn. Each rank decodes all of them, as what a batch holds depends on the bad
    /// samples before it.
    ///
    /// - Parameter step: that the model is of
    func evaluate(_ task: LearningTask, step: Int, over group: any ProcessGroup) throws -> ValidationRecord {
        let batches = try Batcher(order, plan, tokenizer: tokenizer, isEndless: false)
        defer { batches.stop() }
        var losses = [Double](repeating: 0, count: (order.count + plan.size - 1) / plan.size)
        var (count, pairs) = (0, 0)
        var size = plan.size
        while let batch = try batches.nextOfEpoch() {
            if batch.count < plan.size {
                guard count == 0 else { break }
                guard batch.count >= 2 else { throw Self.tooFew(batch.count, place) }
                size = batch.count
            }
            if count % group.size == group.rank {
                let loss = task.loss(batch.pairs(plan, padding: tokenizer.padding, on: task.model.device)).scalar
                losses[count] = Double(loss)
            }
            count += 1
            pairs += batch.count
        }
        guard count > 0 else { throw Self.tooFew(0, place) }
        let all = try group.gathered(losses, "validation losses")
        let sum = (0..<count).reduce(0) { $0 + all[$1 % group.size][$1] }
        return ValidationRecord(
            step: step, loss: sum / Double(count), batch: size, pairs: pairs, leftOut: order.count - pairs)
    }
}
