package import Encoders
import Foundation
import Layers
package import Support
package import TensorCore
import Weights

/// A transformers folder of a BERT encoder, with what sentence-transformers adds: `config.json`,
/// `model.safetensors`, `vocab.txt`, `1_Pooling/config.json`.
package struct SentenceFolder: Sendable {
    /// How a text's tokens become its feature.
    package enum Pooling: String, Sendable { case mean, first, pooler }

    package let path: String
    package let shape: SentenceShape
    package let config: JSON
    /// As `1_Pooling/config.json` says, without it the pooler's output (SimCSE's).
    package let pooling: Pooling
    package var weightsPath: String { path + "/model.safetensors" }

    /// Whether a folder holds a sentence encoder rather than a dual encoder.
    package static func stands(at path: String) -> Bool {
        guard HuggingFaceFolder.stands(at: path), let config = try? JSON(file: path + "/config.json") else {
            return false
        }
        return config["model_type"]?.string == "bert"
    }

    /// Reads the configuration, not yet the weights.
    package init(_ path: String) throws {
        self.path = path
        guard Files.exists(path) else {
            throw Failure(.inputMissing, path, "no such folder of a sentence encoder")
        }
        config = try JSON(file: path + "/config.json")
        shape = try SentenceShape(config, path: path + "/config.json")
        func optional(_ name: String) throws -> JSON? {
            Files.exists("\(path)/\(name)") ? try JSON(file: "\(path)/\(name)") : nil
        }
        let file = "1_Pooling/config.json"
        if let modes = try optional(file) {
            let on = (modes.object ?? [:]).filter { $0.key.hasPrefix("pooling_mode_") && $0.value.bool == true }.map(
                \.key)
            switch on {
            case ["pooling_mode_mean_tokens"]: pooling = .mean
            case ["pooling_mode_cls_token"]: pooling = .first
            default:
                throw Failure(.badData, "\(path)/\(file)", "only pooling by the mean or by [CLS] alone is built")
            }
        } else {
            pooling = .pooler
        }
        let built = ["Transformer", "Pooling", "Normalize"]
        for module in try optional("modules.json")?.array ?? [] {
            let type = module["type"]?.string?.split(separator: ".").last.map(String.init) ?? "?"
            guard built.contains(type) else {
                throw Failure(.badData, path + "/modules.json", "the module \(type) is not built")
            }
        }
    }

    /// - Throws: `Failure(.badData)` naming the tensor that is missing or of another shape.
    package func load(on device: any Device) throws -> SentenceEncoder {
        try SentenceEncoder(source(on: device), shape)
    }

    /// The pooler's weight [D,D] and bias [D].
    func pooler(on device: any Device) throws -> Linear {
        try Linear(
            source(on: device), "pooler.dense", shape.blocks.width, shape.blocks.width, weight: .zeros, bias: .zeros)
    }

    func source(on device: any Device) throws -> FileParameters {
        let file = try Safetensors(weightsPath)
        // A model with a head of its own keeps the encoder under this prefix.
        let prefix = file.entries["embeddings.word_embeddings.weight"] == nil ? "bert." : ""
        return FileParameters(file: file, device: device, prefix: prefix)
    }
}

/// A sentence encoder with its pooling: texts in, unit rows out.
package struct SentenceModel: Sendable {
    package let encoder: SentenceEncoder
    private let pooling: SentenceFolder.Pooling
    private let pooler: Linear?

    package init(_ folder: SentenceFolder, on device: any Device) throws {
        encoder = try folder.load(on: device)
        pooling = folder.pooling
        pooler = folder.pooling == .pooler ? try folder.pooler(on: device) : nil
    }

    package var width: Int { encoder.shape.blocks.width }

    /// [B,D] unit rows.
    ///
    /// - Parameter texts: the ids of each, [CLS] and [SEP] included, without padding
    package func encode(_ texts: [[Int32]]) -> [Float] {
        withoutTape {
            let segments = Segments(lengths: texts.map(\.count))
            let tokens = encoder(texts.flatMap { $0 }, segments)
            return normalizeRows(pooled(tokens, segments)).floats
        }
    }

    private func pooled(_ tokens: Tensor, _ segments: Segments) -> Tensor {
        if pooling == .mean { return segmentMean(tokens, segments) }
        let first = gatherRows(tokens, Indices(segments.firsts))  // [B,D]
        return pooler.map { $0(first).activated(.tanh) } ?? first
    }
}
