import Encoders
import Experts
import Foundation
import Images
import Layers
import RecipeSchema
import Shards
import Support
import TensorCore
import Tokenization

/// A recipe with its files opened: what a run and a dry run share.
public struct TrainingSetup {
    public let recipe: Recipe
    public let blueprint: Blueprint
    public let preprocess: Preprocess
    public let tokenizer: any Tokenizer
    public let order: SampleOrder
    public let plan: BatchPlan
    public let steps: Int

    public init(_ recipe: Recipe) throws {
        self.recipe = recipe
        blueprint = try Blueprint(recipe.modelConfig, path: recipe.modelPath)
        preprocess = try Preprocess(
            recipe.preprocess, height: blueprint.vision.height, width: blueprint.vision.width, path: recipe.file.path)
        guard preprocess.height == blueprint.vision.height, preprocess.width == blueprint.vision.width else {
            throw Failure(.badData, recipe.modelPath, "preprocess_cfg.size is not the model's image size")
        }
        tokenizer = try TokenizerCard(recipe.tokenizer).load()
        guard tokenizer.vocabularySize <= blueprint.text.vocabulary else {
            throw Failure(
                .badData, recipe.file.path,
                "the tokenizer has \(tokenizer.vocabularySize) ids, the model's vocab_size is \(blueprint.text.vocabulary)",
                remedy: "Choose another tokenizer or vocab_size")
        }
        let sources = try recipe.sources.map { try ShardSource($0.shards, weight: $0.weight) }
        order = SampleOrder(
            sources, seed: recipe.seed, window: recipe.window,
            samplesPerEpoch: recipe.samplesPerEpoch, subset: try recipe.flags(of: sources))
        plan = BatchPlan(
            size: recipe.batch, preprocess: preprocess, augmentation: recipe.augmentation,
            decode: recipe.decode, conversion: recipe.conversion,
            contextLength: blueprint.text.contextLength, fields: recipe.fields, threads: recipe.dataThreads,
            largestFaultShare: recipe.largestFaultShare)
        guard order.count >= recipe.batch else {
            throw Failure(
                .badData, recipe.file.path,
                "the data hold \(order.count) samples, fewer than one batch of \(recipe.batch)")
        }
        switch recipe.length {
        case .steps(let count): steps = count
        case .epochs(let count): steps = count * (order.count / recipe.batch)
        }
        let total = recipe.continuation?.total ?? steps
        guard recipe.warmup < total || total == 0 else {
            throw Failure(.badData, recipe.file.path, "schedule.warmup is \(recipe.warmup), the run has \(total) steps")
        }
    }

    /// A new model, or the one that `init_from` names.
    public func model(on device: any Device) throws -> DualEncoder {
        guard !blueprint.hasCaptionDecoder else {
            throw Failure(
                .badData, recipe.file.path, "model: CoCa cannot be trained, its caption decoder is not built")
        }
        var model: DualEncoder
        if let continuation = recipe.continuation {
            model = try ModelFolder(continuation.checkpoint).load(on: device)
            guard model.blueprint == blueprint else {
                throw Failure(.badData, continuation.checkpoint, "holds another model than the recipe's")
            }
        } else if let initial = recipe.initialModel {
            model = try ModelFolder.load(blueprint, weights: initial + "/" + ModelFolder.weightsName, on: device)
        } else {
            let fresh = FreshParameters(on: device, seed: recipe.seed)
            model =
                try recipe.textEncoder.map {
                    try DualEncoder(PretrainedText(fresh, SentenceFolder($0), on: device), blueprint)
                } ?? DualEncoder(fresh, blueprint)
        }
        model.isCheckpointed = recipe.isCheckpointed
        for pattern in recipe.frozen where !model.parameters.contains(where: { fnmatch(pattern, $0.name, 0) == 0 }) {
            throw Failure(
                .badData, recipe.file.path, "freeze: \(pattern) matches no parameter",
                remedy: "Names are open_clip's, such as visual.conv1.weight")
        }
        return model
    }
}

extension Recipe {
    /// Which samples take part; nil: all.
    ///
    /// - Throws: `Failure(.badData)` when the assignment was made for other data.
    func flags(of sources: [ShardSource]) throws -> [Bool]? {
        guard let subset else { return nil }
        let assignment = try Assignment(file: subset.assignment)
        guard assignment.samples == Assignment.digest(of: sources) else {
            throw Failure(
                .badData, subset.assignment, "was made for other samples than those of data.train",
                remedy: "Make the plan again: diptych experts plan")
        }
        return assignment.subset(expert: subset.expert, outOfCluster: subset.outOfCluster, seed: seed)
    }

    /// The learning rate of a step, counted from 0, of a run of `steps`. A continuation goes through the rest of
    /// the other run's schedule at its own pace.
    func rate(at step: Int, of steps: Int, from start: Int) -> Double {
        guard let continuation else {
            return schedule.rate(at: Double(step), base: rate, warmup: warmup, total: steps)
        }
        let place = Double(start) + Double(step) * Double(continuation.total - start) / Double(steps)
        return schedule.rate(at: place, base: rate, warmup: warmup, total: continuation.total)
    }

    /// - Throws: `Failure(.usage)` naming the keys that differ from the run's own recipe.
    func requireSame(as path: String) throws {
        try file.requireSame(as: path, except: ["about"])
    }
}
