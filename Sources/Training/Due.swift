import Layers
import Processes
import Shards
import Optimizers
import Encoders
import Images
import Learning
import Evaluation
import Foundation
import Models
import Records
import Support
import Tokenization
import TensorCore

// What is due after a step: validation, evaluations, the checkpoint; and what a run ends with.
extension Trainer {
    func settle() throws {
        if isAnythingDue { try readLate() }
        let isBest = try withCheckpoint {
            let isBest = try validateIfDue()
            for (plan, evaluator) in evaluators where isDue(plan.every) && state.step < steps {
                try evaluate(evaluator, isFinal: false)
            }
            return isBest
        }
        let isResumed = !state.isSettled && checkpointed == state.step
        state.isSettled = true
        if isBest || isResumed || isCheckpointDue { try checkpoint() }
    }

    /// Writes the model and evaluates it.
    func finish() throws {
        if run != nil { try AtomicFile.writeFolder(path + "/model") { try writeModel($0) } }
        for (_, evaluator) in evaluators { try evaluate(evaluator, isFinal: true) }
        if batches.faults.total > 0 { try tell(.note("left out of training: \(batches.faults.summary)")) }
    }

    /// A bad image or a shard that went away loses no training: what was trained is written first. Of several processes the
    /// others know nothing of it; then the newest checkpoint stands.
    func withCheckpoint<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch {
            // A forward pass that came to no end has moved the running statistics.
            let follows = model.state.contains { $0.role != .learned }
            let isThere = model.device.failure.map { $0.keepsValues && !follows } ?? true
            if group.size == 1, isThere, state.step > 0, checkpointed != state.step {
                do { try checkpoint() } catch let second {
                    try? tell(.note("the checkpoint of step \(state.step) failed: \(second)"))
                }
            }
            throw error
        }
    }

    private func isDue(_ every: Int) -> Bool { every > 0 && state.step % every == 0 }

    private var isCheckpointDue: Bool {
        isDue(recipe.due.checkpointEvery) || isStopping || state.step == steps || state.step == until
    }

    private var isValidationDue: Bool { validation != nil && (isDue(recipe.due.validateEvery) || state.step == steps) }

    private var isAnythingDue: Bool {
        isCheckpointDue || isValidationDue || evaluators.contains { isDue($0.plan.every) }
    }

    /// Whether the loss is the lowest so far.
    private func validateIfDue() throws -> Bool {
        guard let validation, isValidationDue else { return false }
        let record = try validation.evaluate(step.task, step: state.step, over: group)
        guard record.loss.isFinite else {
            throw group.agreed(notFinite("the validation loss is \(record.loss)"))
        }
        try tell(.validation(record))
        guard record.loss < state.best?.loss ?? .infinity else { return false }
        state.best = (record.loss, state.step)
        return true
    }

    private func evaluate(_ evaluator: Evaluator, isFinal: Bool) throws {
        let loaded = Model(
            encoder: model, preprocess: setup.preprocess, tokenizer: setup.tokenizer, name: path + "/model")
        guard let result = try evaluator.run(Ensemble(loaded), over: group, examples: isFinal ? 10 : 0) else { return }
        try tell(.evaluation(result, task: evaluator.task.name, step: state.step, isFinal: isFinal))
    }

    /// Only of finite weights: a checkpoint that cannot be trained on never replaces one that can.
    func checkpoint() throws {
        try readLate()
        let optimizer = try step.gatheredOptimizer()
        if let name = model.firstNonFinite {
            throw group.agreed(notFinite("\(name) is not finite; samples \(Self.list(lastKeys))"))
        }
        if let name = optimizer.firstNonFinite {
            throw notFinite("the moments of \(name) are not finite; samples \(Self.list(lastKeys))")
        }
        if let run {
            state.metricsLength = try run.syncMetrics()
            try Checkpoint.write(
                state, of: model, optimizer, preprocess: setup.preprocess.json,
                to: "\(path)/checkpoints/step-\(state.step)")
        }
        checkpointed = state.step
        prune()
    }

    /// Removes checkpoints that are no longer kept; one that cannot be removed ends nothing.
    func prune() {
        guard let run else { return }
        let kept = Set(run.checkpoints.suffix(recipe.due.keep).map(\.step) + [state.best?.step].compactMap { $0 })
        for (step, path) in run.checkpoints where !kept.contains(step) {
            do { try AtomicFile.removeFolder(path) } catch { try? tell(.note("an old checkpoint stays: \(error)")) }
        }
    }

    private func writeModel(_ folder: String) throws {
        try ModelFolder.write(model, preprocess: setup.preprocess.json, to: folder)
        let card = try TokenizerCard(recipe.tokenizer)
        guard card.kind != .clipBPE else { return }
        try card.copy(to: folder + "/tokenizer")
    }

    static func list(_ keys: [String]) -> String {
        keys.prefix(8).map(\.shownName).joined(separator: ", ") + (keys.count > 8 ? ", ..." : "")
    }

    func notFinite(_ what: String, step: Int? = nil) -> Failure {
        let kept =
            RunFolder.checkpoints(in: path).last.map { "The last good checkpoint is \($0.path)" }
            ?? "No checkpoint had been written"
        return Failure(
            .badData, "step \(step ?? state.step)", what,
            remedy: "\(kept). Lower optimizer.rate, set optimizer.clip, or look at these samples")
    }

    func interrupted() -> Failure {
        Failure(
            .interrupted, path, "interrupted after step \(state.step) of \(steps); the checkpoint is written",
            remedy: "Continue with --resume")
    }
}
