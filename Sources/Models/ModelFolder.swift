package import Encoders
import Foundation
package import Layers
package import Support
package import TensorCore
import Weights

/// A model on disk, as open_clip's `local-dir:` loads it: `open_clip_config.json` with `model_cfg` and
/// `preprocess_cfg`, and `open_clip_model.safetensors`.
package struct ModelFolder: Sendable {
    package static let configName = "open_clip_config.json"
    /// What we write.
    package static let weightsName = "open_clip_model.safetensors"

    package let path: String
    package let blueprint: Blueprint
    /// `preprocess_cfg`, verbatim.
    package let preprocess: JSON

    /// Reads the configuration, not yet the weights.
    package init(_ path: String) throws {
        self.path = path
        let file = path + "/" + Self.configName
        guard Files.exists(path) else {
            throw Failure(.inputMissing, path, "no such model folder")
        }
        let json = try JSON(file: file)
        guard let model = json["model_cfg"] else { throw Failure(.badData, file, "has no model_cfg") }
        blueprint = try Blueprint(model, path: file)
        let settings = json["preprocess_cfg"] ?? .null
        guard settings.isNull || settings.object != nil else {
            throw Failure(.badData, file, "preprocess_cfg: needs an object, has \(settings.text())")
        }
        preprocess = settings.isNull ? .object([:]) : settings
    }

    /// - Throws: `Failure(.badData)` naming the tensor that is missing, left over, not finite or of another shape.
    package func load(on device: any Device) throws -> DualEncoder {
        try Self.load(blueprint, weights: Self.weights(in: path), on: device)
    }

    /// The weight file of a folder by open_clip's order of names, the index of one in pieces among them.
    ///
    /// - Throws: `Failure` naming what stands there instead
    package static func weights(in folder: String) throws -> String {
        let names = [weightsName, "open_clip_pytorch_model.safetensors", "model.safetensors"]
        let candidates = names + names.map { $0 + ".index.json" }
        if let known = candidates.first(where: { Files.isFile(folder + "/" + $0) }) { return folder + "/" + known }
        let there = try Files.names(in: folder)
        let others = there.filter { $0.hasSuffix(".safetensors") }
        if others.count == 1 { return folder + "/" + others[0] }
        guard others.isEmpty else {
            throw Failure(
                .badData, folder, "holds several weight files: \(others.joined(separator: ", "))",
                remedy: "Name the one to read \(weightsName)")
        }
        if let pickled = there.first(where: { name in [".bin", ".pt", ".pth"].contains { name.hasSuffix($0) } }) {
            throw Failure(
                .badData, folder + "/" + pickled, "is a pickled PyTorch file, which this version does not read",
                remedy: """
                    Convert it once: python3 -c "import torch, safetensors.torch as s; \
                    w = torch.load('\(pickled)', map_location='cpu', weights_only=True); \
                    s.save_file({k: v.contiguous().clone() for k, v in w.get('state_dict', w).items()}, '\(weightsName)')"
                    """)
        }
        throw Failure(.inputMissing, folder + "/" + weightsName, "no such file", remedy: "The folder holds no weights")
    }

    /// - Throws: as `load(on:)`
    package static func load(_ blueprint: Blueprint, weights path: String, on device: any Device) throws -> DualEncoder
    {
        let source = try FileParameters(file: Safetensors(path), device: device)
        let model = try DualEncoder(source, blueprint)
        let used = Set(model.state.map { source.name(of: $0.name) })
        // Buffers that some files carry and that are made, not learned.
        let extra = source.file.names.filter {
            !used.contains($0) && !$0.hasSuffix("attn_mask") && !$0.hasSuffix("position_ids")
                && !(blueprint.hasCaptionDecoder && $0.contains("text_decoder."))
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
    package static func write(_ model: DualEncoder, preprocess: JSON, to path: String) throws {
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
        if usesKey("hidden_act", model) {
            try AtomicFile.write(
                "The towers have activations of their own (`hidden_act` in \(configName)): Diptych reads this folder, "
                    + "open_clip has no form for it.\n", to: path + "/README.md")
        }
        let tensors = model.state.map { parameter in
            parameter.role == .counter
                ? FileTensor(parameter.name, counter: Int64(parameter.value.scalar))
                : FileTensor(parameter.name, shape: parameter.value.shape) { parameter.value.floats }
        }
        try Safetensors.write(tensors, to: path + "/" + weightsName)
    }

    private static func usesKey(_ key: String, _ model: DualEncoder) -> Bool {
        ["vision_cfg", "text_cfg"].contains { model.blueprint.config[$0]?[key] != nil }
    }
}

extension DualEncoder {
    /// Reads a model folder, open_clip's or transformers'.
    ///
    /// - Returns: also what a person should know of how it was read
    package static func read(_ path: String, on device: any Device) throws -> (
        model: DualEncoder, preprocess: JSON, notes: [String]
    ) {
        if HuggingFaceFolder.stands(at: path) {
            let folder = try HuggingFaceFolder(path)
            let (model, notes) = try folder.load(on: device)
            return (model, folder.preprocess, folder.notes + notes)
        }
        let folder = try ModelFolder(path)
        let notes =
            folder.preprocess.object?.isEmpty ?? true
            ? [
                "\(path): no preprocess_cfg; open_clip's own values are taken (CLIP's mean and std, bicubic, shortest side)"
            ]
            : []
        return (try folder.load(on: device), folder.preprocess, notes)
    }
}

/// Parameters read from a weight file by name, their shapes checked.
package struct FileParameters: ParameterSource {
    let file: Safetensors
    let device: any Device
    /// What stands before every name in the file.
    private let prefix: String
    /// Whether a `custom_text` model's file is of the time when the text tower's names had no `text.`.
    private let hasOldTextNames: Bool

    /// What wrappers put before every name.
    private static let wrappers = ["module.", "_orig_mod."]

    init(file: Safetensors, device: any Device, prefix: String = "") {
        self.file = file
        self.device = device
        let wrapper = Self.wrappers.first { wrapper in file.entries.keys.allSatisfy { $0.hasPrefix(wrapper) } }
        self.prefix = (file.entries.isEmpty ? nil : wrapper) ?? prefix
        let place = self.prefix + "positional_embedding"
        hasOldTextNames = file.entries[place] != nil
    }

    /// The name in the file.
    func name(of own: String) -> String {
        let isOld = hasOldTextNames && own.hasPrefix("text.")
        return prefix + (isOld ? String(own.dropFirst(5)) : own)
    }

    package func parameter(_ own: String, _ shape: [Int], _ initial: Initial) throws -> Parameter {
        let name = name(of: own)
        if own == "logit_bias", file.entries[name] == nil {
            // As open_clip: weights of a model that had none.
            return Parameter(name: own, value: device.tensor([Float(0)], shape: shape))
        }
        let found = try file.entry(name).shape
        // The logit scale is a scalar in some files and [1] in others.
        guard found == shape || (found.reduce(1, *) == 1 && shape.reduce(1, *) == 1) else {
            throw Failure(
                .badData, file.path, "tensor \(name) has shape \(found), the configuration needs \(shape)",
                remedy: "The weights belong to another model configuration")
        }
        let values = try file.finiteFloats(name)
        if own.hasSuffix("running_var"), let place = values.firstIndex(where: { $0 < 0 }) {
            throw Failure(.badData, file.path, "tensor \(name): element \(place) is \(values[place]), no variance")
        }
        return Parameter(name: own, value: device.tensor(values, shape: found))
    }
}
