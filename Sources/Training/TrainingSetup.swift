import Encoders
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
        order = SampleOrder(
            try recipe.sources.map { try ShardSource($0.shards, weight: $0.weight) }, seed: recipe.seed,
            window: recipe.window,
            samplesPerEpoch: recipe.samplesPerEpoch)
        plan = BatchPlan(
            size: recipe.batch, preprocess: preprocess, augmentation: recipe.augmentation,
            decode: recipe.decode,
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
        guard recipe.warmup < steps || steps == 0 else {
            throw Failure(.badData, recipe.file.path, "schedule.warmup is \(recipe.warmup), the run has \(steps) steps")
        }
    }

    /// A new model, or the one that `init_from` names.
    public func model(on device: any Device) throws -> DualEncoder {
        guard !blueprint.hasCaptionDecoder else {
            throw Failure(
                .badData, recipe.file.path, "model: CoCa cannot be trained, its caption decoder is not built")
        }
        var model: DualEncoder
        if let initial = recipe.initialModel {
            model = try ModelFolder.load(blueprint, weights: initial + "/" + ModelFolder.weightsName, on: device)
        } else {
            model = try DualEncoder(FreshParameters(on: device, seed: recipe.seed), blueprint)
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
    /// - Throws: `Failure(.usage)` naming the keys that differ from the run's own recipe.
    func requireSame(as path: String) throws {
        let (kept, given) = (try YAMLFile(path).flattened, file.flattened)
        let changed = Set(kept.keys).union(given.keys).filter { kept[$0] != given[$0] && $0 != "about" }.sorted()
        guard changed.isEmpty else {
            let list = changed.map { "\($0) (\(kept[$0] ?? "absent") there, \(given[$0] ?? "absent") here)" }.joined(
                separator: ", ")
            throw Failure(
                .usage, path, "the recipe differs from the run's: \(list)",
                remedy: "Start a new run with --run, or restore the recipe")
        }
    }
}
