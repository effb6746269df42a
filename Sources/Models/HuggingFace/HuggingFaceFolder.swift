package import Encoders
import Foundation
import Layers
package import Support
package import TensorCore
import Weights

/// A transformers folder of a CLIPModel or SiglipModel: `config.json`, `model.safetensors` and, where it has one,
/// `preprocessor_config.json`.
package struct HuggingFaceFolder: Sendable {
    static let configName = "config.json"
    static let weightsName = "model.safetensors"
    static let preprocessName = "preprocessor_config.json"

    package let path: String
    package let blueprint: Blueprint
    /// `preprocess_cfg` for the same pixels.
    package let preprocess: JSON
    package let isSigLIP: Bool
    /// What a person should know of how it was read.
    package let notes: [String]

    /// Whether a folder is one of these rather than one of open_clip's.
    package static func stands(at path: String) -> Bool {
        !Files.exists(path + "/" + ModelFolder.configName)
            && Files.exists(path + "/" + configName)
    }

    /// Reads the configuration, not yet the weights.
    ///
    /// - Throws: `Failure(.inputMissing)`, or `Failure(.badData)` naming the key that does not fit.
    package init(_ path: String) throws {
        self.path = path
        let file = path + "/" + Self.configName
        let config = try JSON(file: file)
        isSigLIP = try HuggingFaceConfig.isSigLIP(config, path: file)
        blueprint = try Blueprint(HuggingFaceConfig.modelConfig(config, path: file), path: file)
        let processor = try HuggingFaceProcessor(
            folder: path, side: (blueprint.vision.height, blueprint.vision.width), isSigLIP: isSigLIP)
        (preprocess, notes) = (processor.preprocess, processor.notes)
    }

    /// The weight file, or the index of one in pieces.
    private func weights() throws -> String {
        let candidates = [Self.weightsName, Self.weightsName + ".index.json"].map { path + "/" + $0 }
        if let found = candidates.first(where: { Files.isFile($0) }) { return found }
        if let pickled = try Files.names(in: path).first(where: {
            $0.hasSuffix(".bin") || $0.hasSuffix(".bin.index.json")
        }) {
            throw Failure(
                .badData, path + "/" + pickled, "is a pickled PyTorch file, which this version does not read",
                remedy: "Convert it once with transformers: CLIPModel.from_pretrained(FOLDER).save_pretrained(FOLDER)")
        }
        throw Failure(.inputMissing, candidates[0], "no such file", remedy: "The folder holds no weights")
    }

    /// - Returns: also which tensors nobody reads
    /// - Throws: `Failure(.badData)` naming the tensor that is missing, not finite or of another shape.
    package func load(on device: any Device) throws -> (model: DualEncoder, notes: [String]) {
        let file = try Safetensors(weights())
        let model = try DualEncoder(
            HuggingFaceParameters(file: file, device: device, isSigLIP: isSigLIP), blueprint)
        let used = Set(model.state.flatMap { Counterpart($0.name, isSigLIP: isSigLIP)?.names ?? [] })
        let extra = file.names.filter { !used.contains($0) && !$0.hasSuffix("position_ids") }
        guard !extra.isEmpty else { return (model, []) }
        let list = extra.prefix(3).joined(separator: ", ") + (extra.count > 3 ? ", ..." : "")
        return (model, ["\(file.path): \(extra.count) tensors that the model has no use for are not read: \(list)"])
    }

    /// - Throws: `Failure(.usage)` about `path` when neither CLIPModel nor SiglipModel can hold the model.
    package static func check(_ model: DualEncoder, path: String) throws {
        _ = try HuggingFaceConfig.config(of: model.blueprint, path: path)
    }

    /// Writes a model as transformers reads it, into an existing folder.
    ///
    /// - Throws: `Failure(.usage)` when neither CLIPModel nor SiglipModel can hold it.
    package static func write(_ model: DualEncoder, preprocess: JSON, to path: String) throws {
        let (config, isSigLIP) = try HuggingFaceConfig.config(of: model.blueprint, path: path)
        var pieces: [String: [(order: Int, shape: [Int], values: [Float])]] = [:]
        for parameter in model.state {
            guard let theirs = Counterpart(parameter.name, isSigLIP: isSigLIP) else {
                throw Failure(.usage, path, "transformers has no place for \(parameter.name)")
            }
            let (shape, values) = (parameter.value.shape, parameter.value.floats)
            switch theirs {
            case .same(let name):
                let kept = theirShape(name, shape, isSigLIP)
                pieces[name] = [(0, kept, values)]
            case .transposed(let name): pieces[name] = [(0, shape.reversed(), transposed(values, rows: shape[0]))]
            case .stacked(let names):
                let size = values.count / names.count
                for (index, name) in names.enumerated() {
                    pieces[name] = [
                        (
                            0, [shape[0] / names.count] + shape.dropFirst(),
                            Array(values[index * size..<(index + 1) * size])
                        )
                    ]
                }
            case .thirds(let name, let part): pieces[name, default: []].append((part.lowerBound, shape, values))
            }
        }
        let tensors = pieces.map { name, parts in
            let ordered = parts.sorted { $0.order < $1.order }
            let rows = ordered.reduce(0) { $0 + ($1.shape.first ?? 0) }
            let shape = ordered.count > 1 ? [rows] + ordered[0].shape.dropFirst() : ordered[0].shape
            return FileTensor(name, ordered.flatMap(\.values), shape: shape)
        }
        try AtomicFile.write(config.text(indent: 2) + "\n", to: path + "/" + configName)
        try Safetensors.write(tensors, to: path + "/" + weightsName)
        try AtomicFile.write(
            preprocessorConfig(preprocess, blueprint: model.blueprint, isSigLIP: isSigLIP).text(indent: 2) + "\n",
            to: path + "/" + preprocessName)
    }

    /// timm's position table has a leading 1, SiglipModel's scale and bias are vectors of one.
    private static func theirShape(_ name: String, _ shape: [Int], _ isSigLIP: Bool) -> [Int] {
        if name.hasSuffix("position_embedding.weight") { return Array(shape.suffix(2)) }
        if name == "logit_scale" || name == "logit_bias" { return isSigLIP ? [1] : [] }
        return shape
    }

    /// A matrix of `rows` rows the other way round.
    static func transposed(_ values: [Float], rows: Int) -> [Float] {
        let columns = values.count / max(1, rows)
        return (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } }
    }

    private static func preprocessorConfig(_ preprocess: JSON, blueprint: Blueprint, isSigLIP: Bool) -> JSON {
        let (height, width) = (blueprint.vision.height, blueprint.vision.width)
        let size: JSON = ["height": .integer(height), "width": .integer(width)]
        let isSquashed = preprocess["resize_mode"]?.string == "squash"
        return [
            // SigLIP's class has no shortest side.
            "image_processor_type": isSigLIP && isSquashed ? "SiglipImageProcessor" : "CLIPImageProcessor",
            "do_resize": true,
            "do_rescale": true, "do_normalize": true, "do_convert_rgb": true,
            "do_center_crop": .bool(!isSquashed), "image_mean": preprocess["mean"] ?? .null,
            "image_std": preprocess["std"] ?? .null,
            "resample": preprocess["interpolation"]?.string == "bilinear" ? 2 : 3,
            "size": isSquashed ? size : ["shortest_edge": .integer(min(height, width))], "crop_size": size,
        ]
    }
}

/// Parameters read from a transformers file under our names.
private struct HuggingFaceParameters: ParameterSource {
    let file: Safetensors
    let device: any Device
    let isSigLIP: Bool

    func parameter(_ name: String, _ shape: [Int], _ initial: Initial) throws -> Parameter {
        guard let theirs = Counterpart(name, isSigLIP: isSigLIP) else {
            throw Failure(.badData, file.path, "has no place for \(name)")
        }
        let values: [Float]
        switch theirs {
        case .same(let name):
            values = try read(name) { Self.squeezed($0) == Self.squeezed(shape) }
        case .transposed(let name):
            values = HuggingFaceFolder.transposed(
                try read(name) { $0 == Array(shape.reversed()) }, rows: shape[1])
        case .stacked(let names):
            let part = [shape[0] / names.count] + shape.dropFirst()
            values = try names.flatMap { try read($0) { $0 == part } }
        case .thirds(let name, let part):
            let whole = [shape[0] / part.count * 3] + shape.dropFirst()
            let all = try read(name) { $0 == whole }
            values = Array(all[all.count / 3 * part.lowerBound..<all.count / 3 * part.upperBound])
        }
        return Parameter(name: name, value: device.tensor(values, shape: shape))
    }

    private func read(_ name: String, _ fits: ([Int]) -> Bool) throws -> [Float] {
        let shape = try file.entry(name).shape
        guard fits(shape) else {
            throw Failure(
                .badData, file.path, "tensor \(name) has shape \(shape), which the configuration has no place for",
                remedy: "The weights belong to another configuration")
        }
        return try file.finiteFloats(name)
    }

    /// Shapes that differ by axes of 1 only hold the same values in the same order.
    private static func squeezed(_ shape: [Int]) -> [Int] { shape.filter { $0 != 1 } }
}
