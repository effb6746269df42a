import StrictYAML
package import Encoders
import Foundation
import Layers
import Models
import Optimizers
import Shards
import Support
package import TensorCore
import Weights

/// Where a run's weights begin, decided once: the model is made or read one time.
struct Start {
    var state = Checkpoint(step: 0, position: DataPosition(), pairsSeen: 0, best: nil)
    let model: DualEncoder
    var optimizer: AdamW
    /// Where a continuation began in the other run.
    var seedStep = 0
    /// What a person should know of how it starts.
    var notes: [String] = []
}

extension TrainingSetup {
    /// A new model, the one that `init_from` names, or another run's checkpoint.
    ///
    /// - Throws: `Failure` when there is none, or it does not fit the recipe
    func start(on device: any Device) throws -> Start {
        guard let continuation = recipe.model.continuation else {
            let (model, notes) = try model(on: device)
            return Start(model: model, optimizer: AdamW(recipe.optimizer.settings), notes: notes)
        }
        let seed = try Checkpoint.read(continuation.checkpoint, blueprint, recipe.optimizer.settings, on: device)
        guard seed.state.step < continuation.total else {
            throw Failure(
                .badData, continuation.checkpoint,
                "is at step \(seed.state.step), continue.total is \(continuation.total): nothing is left to train")
        }
        var model = seed.model
        let notes = try prepare(&model)
        var start = Start(model: model, optimizer: seed.optimizer, seedStep: seed.state.step, notes: notes)
        start.state.position = try order.position(ofWhole: seed.state.position)
        start.state.pairsSeen = seed.state.pairsSeen
        return start
    }

    /// The newest checkpoint that is whole; damaged ones are put aside and named. nil when none had been written.
    ///
    /// - Parameter note: sees what a person should know
    func newest(of run: RunFolder, on device: any Device, note: (String) throws -> Void) throws -> Start? {
        let seedStep = try recipe.model.continuation.map { try Checkpoint.step(of: $0.checkpoint) } ?? 0
        var damage: [(failure: Failure, path: String)] = []
        for (step, path) in run.checkpoints.reversed() {
            do {
                let found = try Checkpoint.read(path, blueprint, recipe.optimizer.settings, on: device) {
                    !recipe.isFrozen($0)
                }
                for (_, damaged) in damage { try run.setAside(damaged) }
                if !damage.isEmpty { try note("going on from the newest whole checkpoint, step \(step)") }
                var model = found.model
                let notes = try prepare(&model)
                return Start(
                    state: found.state, model: model, optimizer: found.optimizer, seedStep: seedStep, notes: notes)
            } catch let failure as Failure where failure.kind == .badData || failure.kind == .inputMissing {
                damage.append((failure, path))
                try note("damaged checkpoint: \(failure)")
            }
        }
        guard let first = damage.first?.failure else { return nil }
        throw Failure(
            .badData, first.subject, first.problem,
            remedy: "No whole checkpoint is left in \(run.path)/checkpoints; begin again with another --run")
    }

    /// A new model, or the one that `init_from` names.
    ///
    /// - Returns: also what a person should know of how it starts
    package func model(on device: any Device) throws -> (model: DualEncoder, notes: [String]) {
        guard !blueprint.hasCaptionDecoder else {
            throw Failure(
                .badData, recipe.file.path, "model: CoCa cannot be trained, its caption decoder is not built")
        }
        var model: DualEncoder
        var notes: [String] = []
        if let initial = recipe.model.initial {
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
                try recipe.model.textEncoder.map {
                    try DualEncoder(PretrainedText(fresh, SentenceFolder($0), on: device), blueprint)
                } ?? DualEncoder(fresh, blueprint)
        }
        notes += try prepare(&model)
        return (model, notes)
    }

    /// What the recipe asks of a model that it trains, whichever it starts from.
    ///
    /// - Returns: what a person should know
    func prepare(_ model: inout DualEncoder) throws -> [String] {
        model.recomputes = recipe.model.recomputes
        for pattern in recipe.model.frozen
        where !model.parameters.contains(where: { fnmatch(pattern, $0.name, 0) == 0 }) {
            throw Failure(
                .badData, recipe.file.path, "freeze: \(pattern) matches no parameter",
                remedy: "Names are open_clip's, such as visual.conv1.weight")
        }
        let norms = model.followedNorms.filter { !recipe.isFrozen($0) }
        if let chunk = recipe.chunk, chunk < recipe.batch, !isSliced, let norm = norms.first {
            throw Failure(
                .badData, recipe.file.path,
                "chunk: the model normalises by batches (\(norm)), and \(chunk) of \(recipe.batch) images are another batch",
                remedy: "Leave chunk out, or freeze the image tower: freeze: [\"visual.*\"]")
        }
        let notes =
            isSliced && !norms.isEmpty
            ? [
                "batch norms (\(norms[0]) and \(norms.count - 1) more) take each slice's own statistics, "
                    + "of \(recipe.batch / (recipe.slices ?? ranks)) images"
            ] : []
        guard recipe.model.recomputes else { return notes }
        let idle = model.towersWithoutRecomputation
        guard idle.count < 2 else {
            throw Failure(
                .badData, recipe.file.path, "checkpointing: neither tower of this model has blocks to recompute")
        }
        return notes + idle.map { "checkpointing: the \($0) tower has no blocks to recompute; only the other one does" }
    }
}
