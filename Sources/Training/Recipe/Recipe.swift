import Foundation
package import Objectives
package import Optimizers
package import StrictYAML
import Support
package import TensorCore

/// A training run as a YAML file states it. Paths are relative to the working folder.
package struct Recipe {
    package enum Length: Sendable { case epochs(Int), steps(Int) }

    /// The merged file, kept in the run folder.
    package private(set) var file: YAMLFile
    package let seed: UInt64
    package let model: ModelPart
    package let tokenizer: String
    package let objective: Objective
    package let precision: Precision
    /// Pairs of a step.
    package let batch: Int
    /// Pairs whose values are held at a time; nil: all.
    package let chunk: Int?
    /// Equal parts of a batch that are computed alone; nil: one for each process.
    package let slices: Int?
    package let length: Length
    package let optimizer: OptimizerPart
    package let data: DataPart
    package let due: DuePart

    /// - Parameter overrides: `key=value`, as --set gives them
    /// - Throws: `Failure` naming file, line and key.
    package init(_ path: String, overrides: [String] = []) throws {
        guard let path = Paths.find(path) else {
            throw Failure(
                .inputMissing, path, "no such recipe", remedy: "See Recipes/ for those that come with Diptych")
        }
        var file = try YAMLFile(path)
        for override in overrides { try file.set(override) }
        try self.init(file)
    }

    /// - Throws: `Failure` naming file, line and key.
    package init(_ file: YAMLFile) throws {
        let keys = RecipeKeys()
        var file = try RecipePaths.located(file)
        let top = try Section(file)
        _ = try keys.about(top)
        seed = UInt64(try keys.seed(top))
        objective = try keys.objective(top)
        precision = try keys.precision(top)
        tokenizer = try keys.tokenizer(top)
        batch = try keys.batch(top)
        chunk = try keys.chunk(top)
        slices = try keys.slices(top)
        model = try ModelPart(top, keys, objective, file)
        switch (try keys.epochs(top), try keys.steps(top)) {
        case (let epochs?, nil): length = .epochs(epochs)
        case (nil, let steps?): length = .steps(steps)
        default: throw top.wrong("epochs", "exactly one of epochs and steps is needed")
        }
        optimizer = try OptimizerPart(keys.optimizer(top), keys.schedule(top))
        data = try DataPart(keys.data(top), &file)
        due = try DuePart(top, keys, file)
        try top.finish()
        self.file = file
    }

    package func isFrozen(_ name: String) -> Bool { model.isFrozen(name) }

    /// - Throws: `Failure(.usage)` naming the keys that differ from the run's own recipe.
    func requireSame(as path: String) throws { try file.requireSame(as: path, except: ["about"]) }
}

/// The optimiser, and its rate over the run.
package struct OptimizerPart {
    package let settings: AdamW.Settings
    package let rate: Double
    /// The longest that all gradients as one vector may be.
    package let clip: Double?
    package let schedule: Schedule
    package let warmup: Int

    init(_ optimizer: Section, _ section: Section) throws {
        let (keys, shape) = (OptimizerKeys(), ScheduleKeys())
        rate = try keys.rate(optimizer)
        settings = AdamW.Settings(
            beta1: try keys.beta1(optimizer), beta2: try keys.beta2(optimizer), epsilon: try keys.epsilon(optimizer),
            weightDecay: try keys.weightDecay(optimizer))
        clip = try keys.clip(optimizer)
        let kind = try shape.kind(section)
        warmup = try shape.warmup(section)
        switch kind {
        case .cosine: schedule = .cosine
        case .constant: schedule = .constant
        case .cooldown:
            guard let steps = try shape.cooldown(section) else { throw section.wrong("cooldown", "is missing") }
            schedule = .cooldown(steps: steps, power: try shape.power(section), end: try shape.end(section))
        }
    }
}

/// What happens while a run goes on.
package struct DuePart {
    package struct Evaluation {
        package let task: String
        package let data: String
        package let images: String?
        /// Steps between evaluations; 0: at the end only.
        package let every: Int
    }

    package let validationShards: [String]
    package let validateEvery: Int
    package let logEvery: Int
    package let checkpointEvery: Int
    package let keep: Int
    package let evaluations: [Evaluation]

    init(_ top: Section, _ keys: RecipeKeys, _ file: YAMLFile) throws {
        let validation = try keys.validation(top)
        let checkpoints = try keys.checkpoints(top)
        logEvery = try keys.logEvery(top)
        validationShards = try ValidationKeys().shards(validation)
        validateEvery = try ValidationKeys().every(validation)
        checkpointEvery = try CheckpointKeys().every(checkpoints)
        keep = try CheckpointKeys().keep(checkpoints)
        evaluations = try keys.evaluations(top).map { section in
            let keys = EvaluationKeys()
            return Evaluation(
                task: RecipePaths.place(try keys.task(section), file),
                data: RecipePaths.place(try keys.data(section), file),
                images: try keys.images(section).map { RecipePaths.place($0, file) }, every: try keys.every(section))
        }
    }
}
