import Encoders
import Evaluation
import Foundation
import Images
import Layers
import Objectives
import Optimizers
import Shards
import Support
import TensorCore
import Tokenization

/// What observers learn of a step.
public struct StepEvent: Sendable {
    public let step: Int
    public let steps: Int
    public let pairsSeen: Int
    public let epoch: Int
    public let loss: Float
    public let rate: Double
    public let logitScale: Float
    public let logitBias: Float?
    public let gradientNorm: Double
    public let pairsPerSecond: Double
    public let dataWaitShare: Double
    /// Faulty samples so far, of the whole run.
    public let leftOut: Int

    var json: JSON {
        [
            "step": .integer(step), "pairs_seen": .integer(pairsSeen), "epoch": .integer(epoch),
            "loss": .number(Double(loss)),
            "learning_rate": .number(rate), "logit_scale": .number(Double(logitScale)),
            "logit_bias": logitBias.map { .number(Double($0)) } ?? .null, "gradient_norm": .number(gradientNorm),
            "pairs_per_second": .number(pairsPerSecond), "data_wait_fraction": .number(dataWaitShare),
            "left_out": .integer(leftOut),
            "peak_memory_bytes": .integer(Machine.peakMemory),
        ]
    }
}

/// One run of a recipe.
public final class Trainer {
    public let recipe: Recipe
    public let steps: Int
    public private(set) var model: DualEncoder
    private let run: RunFolder
    private let preprocess: Preprocess
    private let tokenizer: any Tokenizer
    private let batches: Batcher
    private let validation: ValidationLoss?
    private let evaluators: [(plan: Recipe.Evaluation, evaluator: Evaluator)]
    private let board: TensorBoard
    private var optimizer: AdamW
    private var state: Checkpoint
    /// Where a continuation began in the other run.
    private let seedStep: Int
    private let inputs: RunInputs
    /// The step of the last checkpoint.
    private var checkpointed = 0
    /// The samples of the last step.
    private var lastKeys: [String] = []
    /// The step that ends this call of `train`.
    private var until = 0

    /// Prepares everything that can fail before the first step.
    ///
    /// - Parameter allowed: inputs that may differ from those the run began with, by their names in `RunInputs.Part`
    /// - Throws: `Failure` naming file, line or key.
    public init(
        _ recipe: Recipe, run path: String, resume: Bool, allowChanged allowed: [String] = [], on device: any Device
    ) throws {
        self.recipe = recipe
        let setup = try TrainingSetup(recipe)
        (preprocess, tokenizer, steps) = (setup.preprocess, setup.tokenizer, setup.steps)
        evaluators = try recipe.evaluations.map {
            ($0, try Evaluator(task: EvaluationTask($0.task), data: $0.data, images: $0.images))
        }
        validation = try ValidationLoss(recipe, setup)
        let started: [String]
        (model, started) = try setup.model(on: device)
        optimizer = AdamW(recipe.optimizer)
        state = Checkpoint(step: 0, position: DataPosition(), pairsSeen: 0, best: nil)
        run = try RunFolder(path, resume: resume)
        if resume { try recipe.requireSame(as: path + "/recipe.yaml") }
        inputs = try RunInputs(
            recipe, setup,
            evaluations: evaluators.map { RunInputs.TaskInputs(task: $0.plan.task, digest: $0.evaluator.digest) })
        if let continuation = recipe.continuation {
            let seed = try Checkpoint.read(continuation.checkpoint, into: &model, &optimizer)
            seedStep = seed.step
            guard seedStep < continuation.total else {
                throw Failure(
                    .badData, continuation.checkpoint,
                    "is at step \(seedStep), continue.total is \(continuation.total): nothing is left to train")
            }
            state.position = setup.order.position(ofWhole: seed.position)
            state.pairsSeen = seed.pairsSeen
        } else {
            seedStep = 0
        }
        if resume, Files.exists(path + "/recipe.yaml") {
            for note in try inputs.requireSame(asIn: path, allowing: Self.parts(allowed)) { say(note) }
            if let found = try Self.newest(of: run, recipe, into: &model, &optimizer) {
                state = found
                checkpointed = state.step
            } else {
                say("\(path): no checkpoint had been written; the run begins at step 0")
            }
        } else {
            try inputs.write(to: path)
            try AtomicFile.write(recipe.file.text(), to: path + "/recipe.yaml")
        }
        if try run.truncateMetrics(to: state) {
            say("\(path)/metrics.jsonl: lines of steps before \(state.step) are lost; curves have a gap there")
        }
        batches = try Batcher(
            setup.order, setup.plan, tokenizer: tokenizer, from: state.position, faults: state.faults)
        do { board = try TensorBoard(folder: path, from: state.step) } catch {
            batches.stop()
            throw error
        }
        for note in setup.notes + started + evaluators.flatMap(\.evaluator.set.notes) { say(note) }
    }

    private static func parts(_ names: [String]) throws -> Set<RunInputs.Part> {
        Set(
            try names.map { name in
                guard let part = RunInputs.Part(rawValue: name) else {
                    let all = RunInputs.Part.allCases.map(\.rawValue)
                    throw Failure(
                        .usage, "--allow-changed \(name)", "is not one of \(all.joined(separator: ", "))",
                        remedy: didYouMean(name, among: all).map { "Did you mean \($0)?" } ?? "")
                }
                return part
            })
    }

    /// The newest checkpoint that is whole; damaged ones are put aside and named. nil when none had been written.
    private static func newest(
        of run: RunFolder, _ recipe: Recipe, into model: inout DualEncoder, _ optimizer: inout AdamW
    ) throws -> Checkpoint? {
        var damage: [(failure: Failure, path: String)] = []
        for (step, path) in run.checkpoints.reversed() {
            do {
                let state = try Checkpoint.read(path, into: &model, &optimizer) { !recipe.isFrozen($0) }
                for (_, damaged) in damage { try run.setAside(damaged) }
                if !damage.isEmpty { say("going on from the newest whole checkpoint, step \(step)") }
                return state
            } catch let failure as Failure where failure.kind == .badData || failure.kind == .inputMissing {
                damage.append((failure, path))
                say("damaged checkpoint: \(failure)")
            }
        }
        guard let first = damage.first?.failure else { return nil }
        throw Failure(
            .badData, first.subject, first.problem,
            remedy: "No whole checkpoint is left in \(run.path)/checkpoints; begin again with another --run")
    }

    /// Trains to the end, evaluates, writes the model folder.
    ///
    /// - Parameters:
    ///   - until: stop after this step's checkpoint, to be resumed or continued
    ///   - observe: sees every step
    /// - Throws: `Failure(.interrupted)` after a clean checkpoint, `Failure(.badData)` for a loss or
    ///   gradient that is not finite, whatever the data or the disk throw.
    public func train(until: Int? = nil, observe: (StepEvent) -> Void) throws {
        defer { batches.stop() }
        let parameters = model.optimized
        let last = min(steps, until ?? steps)
        self.until = last
        guard state.step <= last else {
            throw Failure(.usage, "--until \(last)", "\(run.path) is at step \(state.step) already")
        }
        if !state.isSettled { try settle() }
        prune()  // a run that was killed may not have come to it
        while state.step < last {
            let start = Machine.now()
            let waitedBefore = batches.waited
            let batch = try withCheckpoint { try batches.next() }  // [B,3,S,S], [B,T]
            lastKeys = batch.keys
            let rate = recipe.rate(at: state.step, of: steps, from: seedStep)
            let (loss, gradients) = recipe.objective.gradients(
                of: model,
                images: model.device.tensor(
                    batch.images, shape: [batch.count, 3, preprocess.height, preprocess.width]),
                texts: TokenBatch(batch.tokens, contextLength: model.blueprint.text.contextLength), chunk: recipe.chunk,
                isFrozen: recipe.isFrozen)
            let norm = gradients.norm
            guard loss.isFinite, norm.isFinite else { throw notFinite(loss, gradients, batch) }
            optimizer.update(
                parameters, gradients, factor: Gradients.clipFactor(norm: norm, limit: recipe.clip), rate: rate)
            model.clampLogitScale()
            state.step += 1
            state.pairsSeen += batch.count
            (state.position, state.faults) = (batches.position, batches.faults)
            let seconds = Machine.now() - start
            try see(
                StepEvent(
                    step: state.step, steps: steps, pairsSeen: state.pairsSeen, epoch: state.position.epoch, loss: loss,
                    rate: rate,
                    logitScale: expf(model.logScale.value.scalar), logitBias: model.logitBias?.value.scalar,
                    gradientNorm: norm,
                    pairsPerSecond: Double(batch.count) / seconds,
                    dataWaitShare: (batches.waited - waitedBefore) / seconds, leftOut: batches.faults.total), observe)
            state.isSettled = false
            try settle()
            if Interruption.isRequested, state.step < steps {
                if checkpointed != state.step { try checkpoint() }
                throw interrupted()
            }
        }
        guard state.step >= steps else { return }
        try AtomicFile.writeFolder(run.path + "/model") { try writeModel($0) }
        for (_, evaluator) in evaluators { try evaluate(evaluator, isFinal: true) }
        if batches.faults.total > 0 { say("left out of training: \(batches.faults.summary)") }
    }

    /// What is due at this step: validation, evaluations, the checkpoint.
    private func settle() throws {
        let isBest = try withCheckpoint {
            let isBest = try validateIfDue()
            for (plan, evaluator) in evaluators where isDue(plan.every) && state.step < steps {
                try evaluate(evaluator, isFinal: false)
            }
            return isBest
        }
        let isResumed = !state.isSettled && checkpointed == state.step
        state.isSettled = true
        let isLast = state.step == steps || state.step == until
        if isBest || isResumed || isDue(recipe.checkpointEvery) || Interruption.isRequested || isLast {
            try checkpoint()
        }
    }

    /// A bad image or a shard that went away loses no training: what was trained is written first.
    private func withCheckpoint<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch {
            if state.step > 0, checkpointed != state.step {
                do { try checkpoint() } catch let second {
                    say("the checkpoint of step \(state.step) failed: \(second)")
                }
            }
            throw error
        }
    }

    private func isDue(_ every: Int) -> Bool { every > 0 && state.step % every == 0 }

    private func see(_ event: StepEvent, _ observe: (StepEvent) -> Void) throws {
        if event.step % recipe.logEvery == 0 || event.step == steps {
            try run.log(event.json)
            var values = [
                ("train/loss", Double(event.loss)), ("train/learning_rate", event.rate),
                ("train/logit_scale", Double(event.logitScale)),
                ("train/gradient_norm", event.gradientNorm), ("speed/pairs_per_second", event.pairsPerSecond),
                ("speed/data_wait_fraction", event.dataWaitShare),
            ]
            if let bias = event.logitBias { values.append(("train/logit_bias", Double(bias))) }
            try board.log(values, step: event.step)
        }
        observe(event)
    }

    /// Whether the loss is the lowest so far.
    private func validateIfDue() throws -> Bool {
        guard let validation, isDue(recipe.validateEvery) || state.step == steps else { return false }
        let result = try validation.evaluate(model, objective: recipe.objective)
        guard result.loss.isFinite else { throw notFinite("the validation loss is \(result.loss)") }
        try run.log([
            "step": .integer(state.step), "validation_loss": .number(result.loss),
            "validation_batch": .integer(result.batch), "validation_pairs": .integer(result.pairs),
            "validation_left_out": .integer(result.leftOut),
        ])
        try board.log([("validation/loss", result.loss)], step: state.step)
        guard result.loss < state.best?.loss ?? .infinity else { return false }
        state.best = (result.loss, state.step)
        return true
    }

    private func evaluate(_ evaluator: Evaluator, isFinal: Bool) throws {
        let name = evaluator.task.name
        let loaded = LoadedModel(
            model: model, preprocess: preprocess, tokenizer: tokenizer,
            name: run.path + "/model")
        let result = try evaluator.run(Ensemble(loaded), examples: isFinal ? 10 : 0)
        let path = run.path + "/evals/\(name)" + (isFinal ? "" : "-step-\(state.step)")
        try AtomicFile.write(result.json.text(indent: 2) + "\n", to: path + ".json")
        if isFinal { try AtomicFile.write(JSON.array(result.examples.map(\.json)).text(), to: path + ".examples.json") }
        try board.log(result.values.map { ("\(name)/\($0.name)", $0.value) }, step: state.step)
        say("\(name) at step \(state.step):\n" + result.lines.joined(separator: "\n"))
    }

    /// Only of finite weights: a checkpoint that cannot be trained on never replaces one that can.
    private func checkpoint() throws {
        if let name = model.firstNonFinite { throw notFinite("\(name) is not finite; samples \(Self.list(lastKeys))") }
        if let name = optimizer.firstNonFinite {
            throw notFinite("the moments of \(name) are not finite; samples \(Self.list(lastKeys))")
        }
        state.metricsLength = try run.syncMetrics()
        let path = "\(run.path)/checkpoints/step-\(state.step)"
        try Checkpoint.write(state, model, optimizer, preprocess: preprocess.json, to: path)
        checkpointed = state.step
        prune()
    }

    /// Removes checkpoints that are no longer kept; one that cannot be removed ends nothing.
    private func prune() {
        let kept = Set(run.checkpoints.suffix(recipe.keep).map(\.step) + [state.best?.step].compactMap { $0 })
        for (step, path) in run.checkpoints where !kept.contains(step) {
            do { try AtomicFile.removeFolder(path) } catch { say("an old checkpoint stays: \(error)") }
        }
    }

    private func writeModel(_ folder: String) throws {
        try ModelFolder.write(model, preprocess: preprocess.json, to: folder)
        let card = try TokenizerCard(recipe.tokenizer)
        guard card.kind != .clipBPE else { return }
        try card.copy(to: folder + "/tokenizer")
    }

    private func notFinite(_ loss: Float, _ gradients: Gradients, _ batch: Batch) -> Failure {
        let what =
            loss.isFinite
            ? "the gradient of \(gradients.firstNonFinite ?? "a parameter") is not finite" : "the loss is \(loss)"
        return notFinite("\(what); samples \(Self.list(batch.keys))", step: state.step + 1)
    }

    private static func list(_ keys: [String]) -> String {
        keys.prefix(8).map(\.shownName).joined(separator: ", ") + (keys.count > 8 ? ", ..." : "")
    }

    private func notFinite(_ what: String, step: Int? = nil) -> Failure {
        let kept =
            run.checkpoints.last.map { "The last good checkpoint is \($0.path)" } ?? "No checkpoint had been written"
        return Failure(
            .badData, "step \(step ?? state.step)", what,
            remedy: "\(kept). Lower optimizer.rate, set optimizer.clip, or look at these samples")
    }

    private func interrupted() -> Failure {
        Failure(
            .interrupted, run.path, "interrupted after step \(state.step) of \(steps); the checkpoint is written",
            remedy: "Continue with --resume")
    }
}
