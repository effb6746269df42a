import Encoders
import Evaluation
import Experts
import Foundation
import Images
import Layers
import RecipeSchema
import Shards
import Support
import TensorCore
import Tokenization
import Weights

/// A recipe with its files opened: what a run and a dry run share.
public struct TrainingSetup {
    public let recipe: Recipe
    public let blueprint: Blueprint
    public let preprocess: Preprocess
    public let tokenizer: any Tokenizer
    public let order: SampleOrder
    public let plan: BatchPlan
    public let steps: Int
    /// What a person should know before the run begins.
    public private(set) var notes: [String] = []

    public init(_ recipe: Recipe) throws {
        self.recipe = recipe
        blueprint = try Blueprint(recipe.modelConfig, path: recipe.modelPath)
        preprocess = try Preprocess(
            recipe.preprocess, height: blueprint.vision.height, width: blueprint.vision.width, path: recipe.file.path)
        guard preprocess.height == blueprint.vision.height, preprocess.width == blueprint.vision.width else {
            throw Failure(.badData, recipe.modelPath, "preprocess_cfg.size is not the model's image size")
        }
        tokenizer = try TokenizerCard(recipe.tokenizer).load()
        try ModelTokenizer(folder: recipe.modelPath, blueprint: blueprint).check(tokenizer)
        let sources = try recipe.sources.map { try ShardSource($0.shards, weight: $0.weight) }
        notes = sources.flatMap(\.shards).flatMap { shard in shard.notes.map { "\(shard.path): \($0)" } }
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
                "the data hold \(order.count) samples, fewer than one batch of \(recipe.batch)",
                remedy: "Lower batch, or look at how members are grouped: " + SampleFault.remedy(["no image"]))
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

    /// Opens what the run evaluates on, so that a dry run finds what is missing there.
    ///
    /// - Returns: what a person should know of it
    public func checkHeldOut() throws -> [String] {
        _ = try ValidationLoss(recipe, self)
        return try recipe.evaluations.flatMap {
            try Evaluator(task: EvaluationTask($0.task), data: $0.data, images: $0.images).set.notes
        }
    }

    /// A new model, or the one that `init_from` names.
    ///
    /// - Returns: also what a person should know of how it starts
    public func model(on device: any Device) throws -> (model: DualEncoder, notes: [String]) {
        guard !blueprint.hasCaptionDecoder else {
            throw Failure(
                .badData, recipe.file.path, "model: CoCa cannot be trained, its caption decoder is not built")
        }
        var model: DualEncoder
        var notes: [String] = []
        if let continuation = recipe.continuation {
            model = try ModelFolder(continuation.checkpoint).load(on: device)
            guard model.blueprint == blueprint else {
                throw Failure(.badData, continuation.checkpoint, "holds another model than the recipe's")
            }
        } else if let initial = recipe.initialModel {
            let weights = try ModelFolder.weights(in: initial)
            model = try ModelFolder.load(blueprint, weights: weights, on: device)
            if let bias = model.logitBias?.value.scalar,
                try Safetensors(weights).names.allSatisfy({ !$0.hasSuffix("logit_bias") })
            {
                notes.append(
                    "\(weights) has no logit bias: it starts at \(bias), the logit scale at "
                        + "\(expf(model.logScale.value.scalar)) from the weights, as in open_clip")
            }
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
        let norms = model.followedNorms.filter { !recipe.isFrozen($0) }
        if let chunk = recipe.chunk, chunk < recipe.batch, let norm = norms.first {
            throw Failure(
                .badData, recipe.file.path,
                "chunk: the model normalises by batches (\(norm)), and \(chunk) of \(recipe.batch) images are another batch",
                remedy: "Leave chunk out, or freeze the image tower: freeze: [\"visual.*\"]")
        }
        if recipe.isCheckpointed {
            let idle = model.towersWithoutRecomputation
            guard idle.count < 2 else {
                throw Failure(
                    .badData, recipe.file.path, "checkpointing: neither tower of this model has blocks to recompute")
            }
            notes += idle.map { "checkpointing: the \($0) tower has no blocks to recompute; only the other one does" }
        }
        return (model, notes)
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
