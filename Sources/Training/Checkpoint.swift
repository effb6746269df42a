import Layers
import Models
import Encoders
import Foundation
import Learning
import Optimizers
import Shards
import Support
import TensorCore
import Weights

/// Everything a run continues from: the model folder, the optimiser's moments, the data position. Random
/// streams are functions of seed, epoch and sample, so they need no state.
///
/// state.json is written last. It holds length and CRC-32 of every other file and a digest of itself: a checkpoint proves
/// that it is what was written, or is not taken (docs/decisions/0009).
package struct Checkpoint {
    var step: Int
    var position: DataPosition
    var pairsSeen: Int
    /// Lowest validation loss so far, and its step.
    var best: (loss: Double, step: Int)?
    var faults = FaultTally()
    /// Bytes of metrics.jsonl when it was written.
    var metricsLength = 0
    /// Whether the validation and the evaluations of this step were made before it was written.
    var isSettled = true

    package static let stateName = "state.json"
    private static let momentsName = "optimizer.safetensors"

    /// - Parameter preprocess: `preprocess_cfg`
    static func write(_ state: Checkpoint, of model: DualEncoder, _ optimizer: AdamW, preprocess: JSON, to path: String)
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
            try Safetensors.write(tensors, to: folder + "/" + momentsName)
            let json = state.json.setting("optimizer_step", to: .integer(optimizer.step))
                .setting("program", to: .string(Version.text)).setting("files", to: try manifest(of: folder))
            let sealed = json.setting("digest", to: .string(SHA256.hex(json.text())))
            try AtomicFile.write(sealed.text(indent: 2) + "\n", to: folder + "/" + stateName)
        }
    }

    var json: JSON {
        [
            "step": .integer(step), "epoch": .integer(position.epoch), "samples_taken": .integer(position.taken),
            "pairs_seen": .integer(pairsSeen), "best_loss": best.map { .number($0.loss) } ?? .null,
            "best_step": best.map { .integer($0.step) } ?? .null, "metrics_bytes": .integer(metricsLength),
            "settled": .bool(isSettled), "faults": faults.json,
        ]
    }

    /// Length and CRC-32 of every file in the folder but state.json.
    private static func manifest(of folder: String) throws -> JSON {
        var files: [String: JSON] = [:]
        for name in try Files.names(in: folder) where name != stateName {
            let (length, sum) = try checksum(of: folder + "/" + name)
            files[name] = ["bytes": .integer(length), "crc32": .string(sum)]
        }
        return .object(files)
    }

    private static func checksum(of path: String) throws -> (length: Int, sum: String) {
        let file = try InputFile(path)
        var sum: UInt32 = 0
        for start in stride(from: 0, to: file.length, by: 1 << 22) {
            sum = Gzip.crc32(try file.read(start, min(1 << 22, file.length - start)), from: sum)
        }
        return (file.length, String(format: "%08x", sum))
    }

    /// Reads state.json and compares every file with what it says.
    ///
    /// - Throws: `Failure(.badData)` naming the file that is damaged or missing
    private static func verified(_ path: String) throws -> JSON {
        let file = path + "/" + stateName
        func damaged(_ file: String, _ problem: String) -> Failure { Failure(.badData, file, problem) }
        guard Files.isFile(file) else { throw damaged(file, "is missing: the checkpoint is not whole") }
        let sealed = try JSON(file: file)
        guard var members = sealed.object, let digest = members.removeValue(forKey: "digest")?.string else {
            throw damaged(file, "has no digest of itself: it is damaged, or of a version before 0.2")
        }
        guard digest == SHA256.hex(JSON.object(members).text()), let files = members["files"]?.object else {
            throw damaged(file, "is not what was written")
        }
        for (name, entry) in files.sorted(by: { $0.key < $1.key }) {
            let part = path + "/" + name
            guard Files.isFile(part) else { throw damaged(part, "is missing") }
            let (length, sum) = try checksum(of: part)
            guard length == entry["bytes"]?.integer else {
                throw damaged(part, "has \(length) bytes, \(entry["bytes"]?.integer ?? 0) were written")
            }
            guard sum == entry["crc32"]?.string else { throw damaged(part, "is not what was written (CRC-32)") }
        }
        guard files[ModelFolder.configName] != nil, files[ModelFolder.weightsName] != nil, files[momentsName] != nil
        else {
            throw damaged(file, "names no model or no moments")
        }
        return .object(members)
    }

    /// What a run goes on from.
    struct Contents {
        let state: Checkpoint
        let model: DualEncoder
        let optimizer: AdamW
    }

    /// Reads state, weights and moments.
    ///
    /// - Parameters:
    ///   - blueprint: the form that its model must have
    ///   - isTrained: parameters that must have moments; nil where that is not known
    /// - Throws: `Failure(.badData)` saying what is damaged or does not fit
    static func read(
        _ path: String, _ blueprint: Blueprint, _ settings: AdamW.Settings, on device: any Device,
        isTrained: ((String) -> Bool)? = nil
    ) throws -> Contents {
        let (state, optimizerStep) = try state(of: path)
        guard Files.name(of: path) == "step-\(state.step)" || !Files.name(of: path).hasPrefix("step-") else {
            throw Failure(.badData, path, "holds the state of step \(state.step)")
        }
        let folder = try ModelFolder(path)
        guard folder.blueprint == blueprint else {
            throw Failure(.badData, path, "holds another model than the recipe's")
        }
        let weights = try Safetensors(path + "/" + ModelFolder.weightsName)
        if let name = weights.names.first(where: { ![.float32, .int64].contains(weights.entries[$0]?.element) }) {
            throw Failure(.badData, weights.path, "\(name) is not held as float32, as it was trained")
        }
        let model = try folder.load(on: device)
        let moments = try self.moments(path + "/" + momentsName, of: model)
        let bare =
            optimizerStep > 0 ? model.parameters.first { isTrained?($0.name) == true && moments[$0.name] == nil } : nil
        if let bare { throw Failure(.badData, path + "/" + momentsName, "holds no moments of \(bare.name)") }
        var optimizer = AdamW(settings)
        optimizer.step = optimizerStep
        optimizer.moments = moments
        return Contents(state: state, model: model, optimizer: optimizer)
    }

    /// What state.json says, once every file is what it names.
    ///
    /// - Throws: `Failure(.badData)` naming the file that is damaged, or the count that is none
    package static func state(of path: String) throws -> (Checkpoint, optimizerStep: Int) {
        let (json, file) = (try verified(path), path + "/" + stateName)
        func count(_ key: String) throws -> Int {
            guard let value = json[key]?.integer, (0...largest).contains(value) else {
                throw Failure(.badData, file, "\(key): \(json[key]?.text() ?? "absent") is no count")
            }
            return value
        }
        var state = Checkpoint(
            step: try count("step"),
            position: DataPosition(epoch: try count("epoch"), taken: try count("samples_taken")),
            pairsSeen: try count("pairs_seen"), best: nil)
        if let loss = json["best_loss"]?.number { state.best = (loss, try count("best_step")) }
        state.metricsLength = try count("metrics_bytes")
        state.isSettled = json["settled"]?.bool ?? true
        state.faults = FaultTally(json["faults"] ?? .null)
        return (state, try count("optimizer_step"))
    }

    /// The step of a checkpoint, its files not looked at.
    static func step(of path: String) throws -> Int {
        let file = path + "/" + stateName
        guard let step = try JSON(file: file)["step"]?.integer else {
            throw Failure(.badData, file, "step: absent")
        }
        return step
    }

    /// After a step.
    mutating func advance(to position: DataPosition, pairs: Int) {
        step += 1
        pairsSeen += pairs
        self.position = position
    }

    /// As another rank's `json` says.
    init(shared json: JSON) {
        func count(_ key: String) -> Int { json[key]?.integer ?? 0 }
        self.init(
            step: count("step"), position: DataPosition(epoch: count("epoch"), taken: count("samples_taken")),
            pairsSeen: count("pairs_seen"), best: json["best_loss"]?.number.map { ($0, count("best_step")) })
        (metricsLength, isSettled) = (count("metrics_bytes"), json["settled"]?.bool ?? true)
        faults = FaultTally(json["faults"] ?? .null)
    }

    init(step: Int, position: DataPosition, pairsSeen: Int, best: (loss: Double, step: Int)?) {
        (self.step, self.position, self.pairsSeen, self.best) = (step, position, pairsSeen, best)
    }

    private static let largest = 1 << 52

    /// - Throws: `Failure(.badData)` for moments that belong to no parameter, are not its shape, or are not finite
    private static func moments(_ path: String, of model: DualEncoder) throws -> [String: AdamW.Moments] {
        let file = try Safetensors(path)
        let shapes = Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0.value.shape) })
        var found: [String: AdamW.Moments] = [:]
        for name in file.names {
            let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
            guard parts.count == 2, ["mean", "square"].contains(parts[0]), let shape = shapes[parts[1]],
                try file.entry(name).shape == shape, try file.entry(name).element == .float32
            else { throw Failure(.badData, path, "\(name) is no moment of a parameter of this model") }
            guard parts[0] == "mean" else { continue }
            func tensor(_ kind: String) throws -> Tensor {
                model.device.tensor(try file.finiteFloats("\(kind).\(parts[1])"), shape: shape)
            }
            found[parts[1]] = AdamW.Moments(mean: try tensor("mean"), square: try tensor("square"))
        }
        guard found.count * 2 == file.names.count else {
            throw Failure(.badData, path, "holds half of a pair of moments")
        }
        return found
    }
}
