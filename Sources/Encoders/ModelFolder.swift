import Foundation
import Layers
import Support
import TensorCore
import Weights

/// A model on disk, as open_clip's `local-dir:` loads it: `open_clip_config.json` with `model_cfg` and
/// `preprocess_cfg`, and `open_clip_model.safetensors`.
public struct ModelFolder: Sendable {
    public static let configName = "open_clip_config.json"
    public static let weightsName = "open_clip_model.safetensors"

    public let path: String
    public let blueprint: Blueprint
    /// `preprocess_cfg`, verbatim.
    public let preprocess: JSON

    /// Reads the configuration, not yet the weights.
    public init(_ path: String) throws {
        self.path = path
        let file = path + "/" + Self.configName
        guard FileManager.default.fileExists(atPath: path) else {
            throw Failure(.inputMissing, path, "no such model folder")
        }
        let json = try JSON(file: file)
        guard let model = json["model_cfg"] else { throw Failure(.badData, file, "has no model_cfg") }
        blueprint = try Blueprint(model, path: file)
        preprocess = json["preprocess_cfg"] ?? .object([:])
    }

    /// - Throws: `Failure(.badData)` naming the tensor that is missing, left over or of another shape.
    public func load(on device: any Device) throws -> DualEncoder {
        try Self.load(blueprint, weights: path + "/" + Self.weightsName, on: device)
    }

    public static func load(_ blueprint: Blueprint, weights path: String, on device: any Device) throws -> DualEncoder {
        let source = FileParameters(file: try Safetensors(path), device: device)
        let model = try DualEncoder(source, blueprint)
        let used = Set(model.state.map(\.name))
        // Buffers that some files carry and that are made, not learned.
        let extra = source.file.names.filter {
            !used.contains($0) && !$0.hasSuffix("attn_mask") && !$0.hasSuffix("position_ids")
                && !(blueprint.hasCaptionDecoder && $0.hasPrefix("text_decoder."))
        }
        if !extra.isEmpty {
            throw Failure(
                .badData, path,
                "holds tensors this configuration has no place for: \(extra.prefix(3).joined(separator: ", "))",
                remedy: "The weights belong to another model configuration")
        }
        return model
    }

    /// Writes configuration and weights into an existing folder.
    public static func write(_ model: DualEncoder, preprocess: JSON, to path: String) throws {
        guard !model.blueprint.hasCaptionDecoder else {
            throw Failure(.usage, path, "a CoCa model cannot be written: its caption decoder is not built")
        }
        let config: JSON = ["model_cfg": model.blueprint.config, "preprocess_cfg": preprocess]
        try AtomicFile.write(config.text(indent: 2) + "\n", to: path + "/" + configName)
        if model.blueprint.config["vision_cfg"]?["timm_model_kwargs"] != nil {
            try AtomicFile.write(
                "The image tower has sizes that timm does not register (`timm_model_kwargs` in \(configName)): Diptych "
                    + "reads this folder, open_clip cannot build it.\n", to: path + "/README.md")
        }
        if model.blueprint.text.sentence != nil {
            try AtomicFile.write(
                "The text tower is a BERT encoder whose sizes stand in `hf_config` in \(configName). open_clip takes no "
                    + "such key: it needs it removed, and `hf_model_name` to be a name or folder that transformers can read.\n",
                to: path + "/README.md")
        }
        let tensors = model.state.map { parameter in
            parameter.role == .counter
                ? FileTensor(parameter.name, counter: Int64(parameter.value.scalar))
                : FileTensor(parameter.name, shape: parameter.value.shape) { parameter.value.floats }
        }
        try Safetensors.write(tensors, to: path + "/" + weightsName)
    }
}

extension DualEncoder {
    /// Reads a model folder, open_clip's or transformers'.
    public static func read(_ path: String, on device: any Device) throws -> (model: DualEncoder, preprocess: JSON) {
        if HuggingFaceFolder.stands(at: path) {
            let folder = try HuggingFaceFolder(path)
            return (try folder.load(on: device), folder.preprocess)
        }
        let folder = try ModelFolder(path)
        return (try folder.load(on: device), folder.preprocess)
    }
}

/// Parameters read from a weight file by name, their shapes checked.
public struct FileParameters: ParameterSource {
    let file: Safetensors
    let device: any Device
    /// What stands before every name in the file.
    var prefix = ""

    public func parameter(_ own: String, _ shape: [Int], _ initial: Initial) throws -> Parameter {
        let name = prefix + own
        let found = try file.entry(name).shape
        // The logit scale is a scalar in some files and [1] in others.
        guard found == shape || (found.reduce(1, *) == 1 && shape.reduce(1, *) == 1) else {
            throw Failure(
                .badData, file.path, "tensor \(name) has shape \(found), the configuration needs \(shape)",
                remedy: "The weights belong to another model configuration")
        }
        return Parameter(name: own, value: try file.tensor(name, on: device))
    }
}
