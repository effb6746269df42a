import Tokenization
package import Encoders
import Evaluation
import Foundation
import Learning
import Optimizers
package import Processes
import Records
import Shards
import Support
package import TensorCore

/// One run of a recipe.
package final class Trainer {
    package let recipe: Recipe
    package let steps: Int
    package var model: DualEncoder { step.task.model }

    let setup: TrainingSetup
    let group: any ProcessGroup
    let path: String
    /// At rank 0 alone.
    let run: RunFolder?
    let batches: Batcher
    let validation: ValidationLoss?
    let evaluators: [(plan: DuePart.Evaluation, evaluator: Evaluator)]
    var step: Step
    var state: Checkpoint
    /// The step of the last checkpoint.
    var checkpointed: Int
    /// The samples of the last step.
    var lastKeys: [String] = []
    /// The step that ends this call of `train`.
    var until = 0
    /// Whether some process was asked to stop.
    private(set) var isStopping = false
    /// The last step's reading, as long as nobody has waited for it.
    private var late: (result: StepResult, record: StepRecord, keys: [String])?
    /// Where a continuation began in the other run.
    private let seedStep: Int
    private let observers: [any RunObserver]

    /// Prepares everything that can fail before the first step. Collective: every rank makes one of its own.
    ///
    /// - Parameters:
    ///   - place: the run folder, which rank 0 alone touches
    ///   - observer: sees the run besides its folder, at rank 0
    /// - Throws: `Failure` naming file, line or key.
    package init(
        _ recipe: Recipe, run place: RunPlace, on device: any Device, group: any ProcessGroup = Alone(),
        observer: some RunObserver
    ) throws {
        (self.recipe, path, self.group) = (recipe, place.path, group)
        let setup = try TrainingSetup(recipe, ranks: group.size)
        (self.setup, steps) = (setup, setup.steps)
        let slicing = try setup.slicing(group)
        evaluators = try recipe.due.evaluations.map {
            ($0, try Evaluator(task: TaskFile.read($0.task), data: $0.data, images: $0.images))
        }
        validation = try ValidationLoss(recipe, setup)
        let begin =
            group.isRoot
            ? try Beginning(setup, place, evaluators, on: device, observer)
            : try Beginning(replicaOf: setup, on: device)
        let start = try begin.start.shared(over: group)
        (run, state, checkpointed, seedStep) = (
            begin.run, start.state, begin.isFound ? start.state.step : 0, start.seedStep
        )
        step = Step(.contrastive(start.model, recipe.objective), start.optimizer, recipe.stepSettings, slicing)
        observers =
            try run.map { run in
                try run.recordProgram(from: start.state.step, ranks: group.size)
                if try run.truncateMetrics(to: start.state) {
                    try observer.see(
                        .note(
                            "\(place.path)/metrics.jsonl: lines of steps before \(start.state.step) are lost; curves have a gap there"
                        ))
                }
                return [
                    MetricsLog(run: run, every: recipe.due.logEvery),
                    try TensorBoard(folder: place.path, from: start.state.step, every: recipe.due.logEvery), observer,
                ]
            } ?? []
        batches = try Batcher(
            setup.order, setup.plan, tokenizer: setup.tokenizer, from: state.position, faults: state.faults,
            share: setup.share(group))
        for note in setup.notes + start.notes + evaluators.flatMap(\.evaluator.set.notes) { try tell(.note(note)) }
    }

    /// Trains to the end, evaluates, writes the model folder.
    ///
    /// A step's loss and norm are read while the next one runs.
    /// - Parameter until: stop after this step's checkpoint, to be resumed or continued
    /// - Throws: `Failure(.interrupted)` after a clean checkpoint, `Failure(.badData)` for a loss or
    ///   gradient that is not finite, whatever the data or the disk throw.
    package func train(until: Int? = nil) throws {
        defer { batches.stop() }
        let last = min(steps, until ?? steps)
        self.until = last
        guard state.step <= last else {
            throw Failure(.usage, "--until \(last)", "\(path) is at step \(state.step) already")
        }
        if !state.isSettled { try settle() }
        prune()  // a run that was killed may not have come to it
        while state.step < last {
            let clock = StepClock(batches, group)
            group.enter("step \(state.step + 1)")
            let batch = try withCheckpoint {
                try checkDevice()
                return try batches.next()
            }
            let rate = recipe.rate(at: state.step, of: steps, from: seedStep)
            let result = try step(
                batch.pairs(setup.plan, padding: setup.tokenizer.padding, on: model.device), rate: rate)
            try withCheckpoint { try checkDevice() }  // where it has no memory this step changed nothing
            try readLate()
            let all = try clock.shared(over: group, batches)
            isStopping = all.isStopping
            state.advance(to: batches.position, pairs: recipe.batch)
            state.isSettled = false
            lastKeys = batch.keys
            var record = StepRecord(step: state.step, steps: steps)
            (record.pairsSeen, record.epoch, record.learningRate) = (state.pairsSeen, state.position.epoch, rate)
            record.pairsPerSecond = Double(recipe.batch) / all.seconds
            (record.dataWaitFraction, record.ranks) = (all.dataWait, all.ranks)
            record.peakMemoryBytes = all.peakMemory
            late = (result, record, batch.keys)
            try withCheckpoint {
                defer { state.faults = batches.faults }
                try group.agreeing { try batches.settle(all.faults) }
            }
            late?.record.leftOut = batches.faults.total
            try settle()
            if isStopping, state.step < steps {
                if checkpointed != state.step { try checkpoint() }
                throw group.agreed(interrupted())
            }
        }
        try readLate()
        if state.step >= steps { try finish() }
    }

    /// Waits for the last step, and tells of it.
    ///
    /// - Throws: `Failure(.badData)` naming step and samples where loss or norm is not finite: that step changed nothing
    func readLate() throws {
        guard let (result, unread, keys) = late else { return }
        late = nil
        let values = result.wait()
        guard values.isFinite else {
            let what =
                values.loss.isFinite
                ? "the gradient of \(result.firstNonFinite ?? "a parameter") is not finite"
                : "the loss is \(values.loss)"
            throw group.agreed(notFinite("\(what); samples \(Self.list(keys))", step: unread.step))
        }
        var record = unread
        (record.loss, record.gradientNorm) = (Double(values.loss), values.gradientNorm)
        (record.logitScale, record.logitBias) = (Double(expf(values.logScale)), values.logitBias.map(Double.init))
        try tell(.step(record))
    }

    func tell(_ event: RunEvent) throws { for observer in observers { try observer.see(event) } }

    private func checkDevice() throws {
        guard let failure = model.device.failure else { return }
        throw Failure(.machine, model.device.name, failure.problem, remedy: failure.remedy)
    }
}
