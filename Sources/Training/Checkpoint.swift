import Encoders
import Foundation
import Optimizers
import Shards
import Support
import TensorCore
import Weights

/// Everything a run continues from: the model folder, the optimiser's moments, the data position. Random
/// streams are functions of seed, epoch and sample, so they need no state.
struct Checkpoint {
    var step: Int
    var position: DataPosition
    var pairsSeen: Int
    /// Lowest validation loss so far, and its step.
    var best: (loss: Double, step: Int)?

    static func write(_ state: Checkpoint, _ model: DualEncoder, _ optimizer: AdamW, preprocess: JSON, to path: String)
        throws
    {
        try AtomicFile.writeFolder(path) { folder in
            try ModelFolder.write(model, preprocess: preprocess, to: folder)
            let tensors = optimizer.moments.flatMap { name, moments in
                [
                    FileTensor("mean." + name, shape: moments.mean.shape) { moments.mean.floats },
                    FileTensor("square." + name, shape: moments.square.shape) { moments.square.floats },
                ]
            }
            try Safetensors.write(tensors, to: folder + "/optimizer.safetensors")
            let json: JSON = [
                "step": .integer(state.step), "optimizer_step": .integer(optimizer.step),
                "epoch": .integer(state.position.epoch),
                "samples_taken": .integer(state.position.taken), "pairs_seen": .integer(state.pairsSeen),
                "best_loss": state.best.map { .number($0.loss) } ?? .null,
                "best_step": state.best.map { .integer($0.step) } ?? .null,
            ]
            try AtomicFile.write(json.text(indent: 2) + "\n", to: folder + "/state.json")
        }
    }

    /// Reads the state, and puts weights and moments in place.
    static func read(_ path: String, into model: inout DualEncoder, _ optimizer: inout AdamW) throws -> Checkpoint {
        let file = path + "/state.json"
        let json = try JSON(file: file)
        guard let step = json["step"]?.integer, let optimizerStep = json["optimizer_step"]?.integer,
            let epoch = json["epoch"]?.integer, let taken = json["samples_taken"]?.integer,
            let pairs = json["pairs_seen"]?.integer
        else { throw Failure(.badData, file, "is not a checkpoint's state") }
        let device = model.device
        let isCheckpointed = model.isCheckpointed
        model = try ModelFolder(path).load(on: device)
        model.isCheckpointed = isCheckpointed
        let moments = try Safetensors(path + "/optimizer.safetensors")
        optimizer.step = optimizerStep
        for name in moments.names where name.hasPrefix("mean.") {
            let parameter = String(name.dropFirst(5))
            optimizer.moments[parameter] = AdamW.Moments(
                mean: try moments.tensor(name, on: device),
                square: try moments.tensor("square." + parameter, on: device))
        }
        let best = json["best_loss"]?.number.flatMap { loss in json["best_step"]?.integer.map { (loss, $0) } }
        return Checkpoint(step: step, position: DataPosition(epoch: epoch, taken: taken), pairsSeen: pairs, best: best)
    }
}
