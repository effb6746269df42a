import Tokenization
import StrictYAML
package import Encoders
import Evaluation
import Foundation
import Learning
import Optimizers
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
    let run: RunFolder
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
    /// The last step's reading, as long as nobody has waited for it.
    private var late: (result: StepResult, record: StepRecord, keys: [String])?
    /// Where a continuation began in the other run.
    private let seedStep: Int
    private let observers: [any RunObserver]

    /// Prepares everything that can fail before the first step.
    ///
    /// - Parameters:
    ///   - allowed: inputs that may differ from those the run began with, by their names in `RunInputs.Part`
    ///   - observer: sees the run besides its folder
    /// - Throws: `Failure` naming file, line or key.
    package init(
        _ recipe: Recipe, run path: String, resume: Bool, allowChanged allowed: [String] = [], on device: any Device,
        observer: some RunObserver
    ) throws {
        self.recipe = recipe
        let setup = try TrainingSetup(recipe)
        (self.setup, steps) = (setup, setup.steps)
        evaluators = try recipe.due.evaluations.map {
            ($0, try Evaluator(task: TaskFile.read($0.task), data: $0.data, images: $0.images))
        }
        validation = try ValidationLoss(recipe, setup)
        let goesOn = resume && Files.exists(path + "/recipe.yaml")
        // What cannot be made is found before a folder for it stands.
        let fresh = goesOn ? nil : try setup.start(on: device)
        run = try RunFolder(path, resume: resume)
        if resume { try recipe.requireSame(as: path + "/recipe.yaml") }
        let inputs = try RunInputs(
            recipe, setup,
            evaluations: evaluators.map { RunInputs.TaskInputs(task: $0.plan.task, digest: $0.evaluator.digest) })
        var notes: [String] = []
        if goesOn { notes = try inputs.requireSame(asIn: path, allowing: RunInputs.parts(allowed)) }
        for note in notes { try observer.see(.note(note)) }
        let found = goesOn ? try setup.newest(of: run, on: device) { try observer.see(.note($0)) } : nil
        if goesOn, found == nil {
            try observer.see(.note("\(path): no checkpoint had been written; the run begins at step 0"))
        } else if !goesOn {
            try inputs.write(to: path)
            try AtomicFile.write(recipe.file.text(), to: path + "/recipe.yaml")
        }
        let start = try found ?? fresh ?? setup.start(on: device)
        (state, checkpointed, seedStep) = (start.state, found == nil ? 0 : start.state.step, start.seedStep)
        step = Step(.contrastive(start.model, recipe.objective), start.optimizer, recipe.stepSettings)
        try run.recordProgram(from: state.step)
        if try run.truncateMetrics(to: state) {
            let lost = "\(path)/metrics.jsonl: lines of steps before \(state.step) are lost; curves have a gap there"
            try observer.see(.note(lost))
        }
        observers = [
            MetricsLog(run: run, every: recipe.due.logEvery),
            try TensorBoard(folder: path, from: state.step, every: recipe.due.logEvery), observer,
        ]
        batches = try Batcher(
            setup.order, setup.plan, tokenizer: setup.tokenizer, from: state.position, faults: state.faults)
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
            throw Failure(.usage, "--until \(last)", "\(run.path) is at step \(state.step) already")
        }
        if !state.isSettled { try settle() }
        prune()  // a run that was killed may not have come to it
        while state.step < last {
            let (start, waited) = (Machine.now(), batches.waited)
            let batch = try withCheckpoint {
                try checkDevice()
                return try batches.next()
            }
            let rate = recipe.rate(at: state.step, of: steps, from: seedStep)
            let result = try step(
                batch.pairs(setup.plan, padding: setup.tokenizer.padding, on: model.device), rate: rate)
            try readLate()
            state.advance(batches, pairs: batch.count)
            lastKeys = batch.keys
            let seconds = Machine.now() - start
            var record = StepRecord(step: state.step, steps: steps)
            (record.pairsSeen, record.epoch, record.learningRate) = (state.pairsSeen, state.position.epoch, rate)
            record.pairsPerSecond = Double(batch.count) / seconds
            record.dataWaitFraction = (batches.waited - waited) / seconds
            record.leftOut = batches.faults.total
            late = (result, record, batch.keys)
            state.isSettled = false
            try settle()
            if Interruption.isRequested, state.step < steps {
                if checkpointed != state.step { try checkpoint() }
                throw interrupted()
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
            throw notFinite("\(what); samples \(Self.list(keys))", step: unread.step)
        }
        var record = unread
        (record.loss, record.gradientNorm) = (Double(values.loss), values.gradientNorm)
        (record.logitScale, record.logitBias) = (Double(expf(values.logScale)), values.logitBias.map(Double.init))
        record.peakMemoryBytes = Machine.peakMemory
        try tell(.step(record))
    }

    func tell(_ event: RunEvent) throws { for observer in observers { try observer.see(event) } }

    private func checkDevice() throws {
        guard let failure = model.device.failure else { return }
        throw Failure(.machine, model.device.name, failure.problem)
    }
}
