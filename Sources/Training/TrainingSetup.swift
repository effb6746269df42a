import TensorCore
import Optimizers
package import Encoders
import Evaluation
import Foundation
package import Images
package import Learning
import Models
import StrictYAML
package import Shards
import Support
package import Tokenization

/// A recipe with its files opened: what a run and a dry run share.
package struct TrainingSetup {
    package let recipe: Recipe
    package let blueprint: Blueprint
    package let preprocess: Preprocess
    package let tokenizer: any Tokenizer
    package let order: SampleOrder
    package let plan: BatchPlan
    package let steps: Int
    /// What a person should know before the run begins.
    package private(set) var notes: [String] = []

    /// Processes that share a batch.
    let ranks: Int

    /// - Parameter ranks: processes that share a batch
    package init(_ recipe: Recipe, ranks: Int = 1) throws {
        (self.recipe, self.ranks) = (recipe, ranks)
        blueprint = try Blueprint(recipe.model.config, path: recipe.model.path)
        preprocess = try Preprocess(
            recipe.model.preprocess, height: blueprint.vision.height, width: blueprint.vision.width,
            path: recipe.file.path)
        guard preprocess.height == blueprint.vision.height, preprocess.width == blueprint.vision.width else {
            throw Failure(.badData, recipe.model.path, "preprocess_cfg.size is not the model's image size")
        }
        tokenizer = try TokenizerCard(recipe.tokenizer).load()
        try ModelTokenizer(folder: recipe.model.path, blueprint: blueprint).check(tokenizer)
        let sources = try recipe.data.sources.map { try ShardSource($0.shards, weight: $0.weight) }
        notes = sources.flatMap(\.shards).flatMap { shard in shard.notes.map { "\(shard.path): \($0)" } }
        order = try SampleOrder(
            sources, seed: recipe.seed, window: recipe.data.window,
            samplesPerEpoch: recipe.data.samplesPerEpoch, selection: try recipe.selection(for: sources))
        var plan = BatchPlan(
            size: recipe.batch, preprocess: preprocess, contextLength: blueprint.text.contextLength)
        (plan.augmentation, plan.decode, plan.conversion) = (
            recipe.data.augmentation, recipe.data.decode, recipe.data.conversion
        )
        (plan.fields, plan.threads, plan.largestFaultShare) = (
            recipe.data.fields, recipe.data.threads, recipe.data.largestFaultShare
        )
        self.plan = plan
        guard order.count >= recipe.batch else {
            throw Failure(
                .badData, recipe.file.path,
                "the data hold \(order.count) samples, fewer than one batch of \(recipe.batch)",
                remedy: "Lower batch, or look at how members are grouped: " + SampleFault.remedy(["no image"]))
        }
        switch recipe.length {
        case .steps(let count): steps = count
        case .epochs(let count): steps = count * (order.count / recipe.batch)
        }
        let total = recipe.model.continuation?.total ?? steps
        guard recipe.optimizer.warmup < total || total == 0 else {
            throw Failure(
                .badData, recipe.file.path, "schedule.warmup is \(recipe.optimizer.warmup), the run has \(total) steps")
        }
    }

    /// Whether a batch is computed in parts; otherwise it is one, in one process.
    var isSliced: Bool { ranks > 1 || recipe.slices != nil }

    /// Opens what the run evaluates on, so that a dry run finds what is missing there.
    ///
    /// - Returns: what a person should know of it
    package func checkHeldOut() throws -> [String] {
        _ = try ValidationLoss(recipe, self)
        return try recipe.due.evaluations.flatMap {
            try Evaluator(task: TaskFile.read($0.task), data: $0.data, images: $0.images).set.notes
        }
    }
}

extension Recipe {
    /// Which samples take part; nil: all.
    ///
    /// - Throws: `Failure(.badData)` when the selection was made for other data.
    func selection(for sources: [ShardSource]) throws -> SampleSelection? {
        guard let path = data.selection else { return nil }
        let selection = try SampleSelection(file: path)
        guard selection.data == SampleSelection.digest(of: sources) else {
            throw Failure(
                .badData, path, "was made for other samples than those of data.train",
                remedy: "Make it again for these: diptych experts plan")
        }
        return selection
    }

    /// The learning rate of a step, counted from 0, of a run of `steps`. A continuation goes through the rest of
    /// the other run's schedule at its own pace.
    func rate(at step: Int, of steps: Int, from start: Int) -> Double {
        guard let continuation = model.continuation else {
            return optimizer.schedule.rate(
                at: Double(step), base: optimizer.rate, warmup: optimizer.warmup, total: steps)
        }
        let place = Double(start) + Double(step) * Double(continuation.total - start) / Double(steps)
        return optimizer.schedule.rate(
            at: place, base: optimizer.rate, warmup: optimizer.warmup, total: continuation.total)
    }

    /// What a step does besides its task.
    package var stepSettings: StepSettings {
        var settings = StepSettings(clip: optimizer.clip, chunk: chunk) { [model] in model.isFrozen($0) }
        settings.element = precision.element
        return settings
    }
}
