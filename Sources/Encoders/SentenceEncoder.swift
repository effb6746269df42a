import Foundation
import Layers
import Support
import TensorCore
import Weights

/// Sizes of a BERT encoder, read from transformers' `config.json`.
public struct SentenceShape: Sendable, Equatable {
    public let blocks: TransformerShape
    public let vocabulary: Int
    /// Rows of the position table: the longest text, [CLS] and [SEP] included.
    public let positions: Int
    let types: Int

    /// - Throws: `Failure(.badData)` naming the key that does not fit.
    public init(_ config: JSON, path: String) throws {
        func integer(_ key: String, _ fallback: Int) throws -> Int {
            guard let value = config[key] else { return fallback }
            let most = key == "vocab_size" ? 100_000_000 : key == "num_hidden_layers" ? 1000 : 1 << 20
            guard let number = value.integer, (1...most).contains(number) else {
                throw Failure(.badData, path, "\(key): needs a count of at most \(most)")
            }
            return number
        }
        guard config["model_type"]?.string == "bert" else {
            throw Failure(
                .badData, path,
                "model_type is \(config["model_type"]?.string ?? "missing"), a sentence encoder is a bert")
        }
        guard config["position_embedding_type"]?.string ?? "absolute" == "absolute" else {
            throw Failure(.badData, path, "position_embedding_type: only absolute is built")
        }
        let activation: Activation
        switch config["hidden_act"]?.string ?? "gelu" {
        case "gelu": activation = .gelu
        case "gelu_new", "gelu_pytorch_tanh": activation = .geluTanh
        case "relu": activation = .relu
        case let other: throw Failure(.badData, path, "hidden_act: \(other) is not built")
        }
        let (width, heads) = (try integer("hidden_size", 768), try integer("num_attention_heads", 12))
        guard width % heads == 0 else {
            throw Failure(.badData, path, "num_attention_heads: \(width) is not divisible by \(heads)")
        }
        blocks = TransformerShape(
            width: width, layers: try integer("num_hidden_layers", 12), heads: heads,
            mlpWidth: try integer("intermediate_size", 3072), activation: activation,
            epsilon: Float(config["layer_norm_eps"]?.number ?? 1e-12))
        vocabulary = try integer("vocab_size", 30522)
        positions = try integer("max_position_embeddings", 512)
        types = try integer("type_vocab_size", 2)
    }
}

/// BERT's encoder (Devlin et al. 2018, arXiv:1810.04805): x = norm(x + attention(x)), then norm(x + MLP(x)).
/// Parameters carry transformers' names.
public struct SentenceEncoder: Module {
    public let shape: SentenceShape
    var words: Parameter  // [V,D]
    var positions: Parameter  // [T,D]
    var types: Parameter  // [2,D]
    var norm: LayerNorm
    var blocks: [Block]

    public init(_ source: some ParameterSource, _ shape: SentenceShape, prefix: String = "") throws {
        self.shape = shape
        let width = shape.blocks.width
        func table(_ name: String, _ rows: Int) throws -> Parameter {
            try source.parameter("\(prefix)embeddings.\(name).weight", [rows, width], .normal(deviation: 0.02))
        }
        words = try table("word_embeddings", shape.vocabulary)
        positions = try table("position_embeddings", shape.positions)
        types = try table("token_type_embeddings", shape.types)
        norm = try LayerNorm(source, prefix + "embeddings.LayerNorm", width, epsilon: shape.blocks.epsilon)
        blocks = try (0..<shape.blocks.layers).map {
            try Block(source, "\(prefix)encoder.layer.\($0).", shape.blocks)
        }
    }

    /// Padding is not computed: the texts' own tokens are packed.
    ///
    /// - Parameters:
    ///   - ids: the texts' tokens one after the other, [CLS] and [SEP] included, N in all
    ///   - trace: sees the tokens after each block
    /// - Returns: [N,D]
    public func callAsFunction(_ ids: [Int32], _ segments: Segments, trace: ((Int, Tensor) -> Void)? = nil) -> Tensor {
        precondition(
            segments.longest <= shape.positions, "a text of \(segments.longest) tokens, \(shape.positions) fit")
        let device = words.value.device
        func indices(_ values: [Int32]) -> Tensor { device.tensor(values, shape: [values.count]) }
        let places = (0..<segments.count).flatMap { (0..<Int32(segments[$0].count)) }
        var x = gatherRows(words.value, indices(ids))
        x = gatherRows(types.value, indices([Int32](repeating: 0, count: ids.count)), addend: x)
        x = norm(gatherRows(positions.value, indices(places), addend: x))
        for (index, block) in blocks.enumerated() {
            x = block(x, segments)
            trace?(index, x)
        }
        return x
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&words)
        try body(&positions)
        try body(&types)
        try norm.visit(body)
        for index in blocks.indices { try blocks[index].visit(body) }
    }

    struct Block: Module {
        var query: Linear
        var key: Linear
        var value: Linear
        var out: Linear
        var norm1: LayerNorm
        var expand: Linear
        var contract: Linear
        var norm2: LayerNorm
        let shape: TransformerShape

        init(_ source: some ParameterSource, _ path: String, _ shape: TransformerShape) throws {
            self.shape = shape
            func layer(_ name: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
                try Linear(source, path + name, inputs, outputs, weight: .normal(deviation: 0.02), bias: .zeros)
            }
            let (width, hidden) = (shape.width, shape.mlpWidth)
            query = try layer("attention.self.query", width, width)
            key = try layer("attention.self.key", width, width)
            value = try layer("attention.self.value", width, width)
            out = try layer("attention.output.dense", width, width)
            norm1 = try LayerNorm(source, path + "attention.output.LayerNorm", width, epsilon: shape.epsilon)
            expand = try layer("intermediate.dense", width, hidden)
            contract = try layer("output.dense", hidden, width)
            norm2 = try LayerNorm(source, path + "output.LayerNorm", width, epsilon: shape.epsilon)
        }

        func callAsFunction(_ x: Tensor, _ segments: Segments) -> Tensor {
            let parts = [query, key, value]
            let qkv = linear(
                x, weight: concatenate(parts.map(\.weight.value)), bias: concatenate(parts.map { $0.bias!.value }))
            let y = norm1(out(attention(qkv: qkv, segments, heads: shape.heads, causal: false), residual: x))
            return norm2(
                feedForward(
                    y, expand: (expand.weight.value, expand.bias?.value), activation: shape.activation,
                    contract: (contract.weight.value, contract.bias?.value), residual: y))
        }

        mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
            try query.visit(body)
            try key.visit(body)
            try value.visit(body)
            try out.visit(body)
            try norm1.visit(body)
            try expand.visit(body)
            try contract.visit(body)
            try norm2.visit(body)
        }
    }
}

/// A transformers folder of a BERT encoder, with what sentence-transformers adds: `config.json`,
/// `model.safetensors`, `vocab.txt`, `1_Pooling/config.json`.
public struct SentenceFolder: Sendable {
    /// How a text's tokens become its feature.
    public enum Pooling: String, Sendable { case mean, first, pooler }

    public let path: String
    public let shape: SentenceShape
    public let config: JSON
    /// As `1_Pooling/config.json` says, without it the pooler's output (SimCSE's).
    public let pooling: Pooling
    public var weightsPath: String { path + "/model.safetensors" }

    /// Whether a folder holds a sentence encoder rather than a dual encoder.
    public static func stands(at path: String) -> Bool {
        guard HuggingFaceFolder.stands(at: path), let config = try? JSON(file: path + "/config.json") else {
            return false
        }
        return config["model_type"]?.string == "bert"
    }

    /// Reads the configuration, not yet the weights.
    public init(_ path: String) throws {
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
    public func load(on device: any Device) throws -> SentenceEncoder {
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
public struct SentenceModel: Sendable {
    public let encoder: SentenceEncoder
    private let pooling: SentenceFolder.Pooling
    private let pooler: Linear?

    public init(_ folder: SentenceFolder, on device: any Device) throws {
        encoder = try folder.load(on: device)
        pooling = folder.pooling
        pooler = folder.pooling == .pooler ? try folder.pooler(on: device) : nil
    }

    public var width: Int { encoder.shape.blocks.width }

    /// [B,D] unit rows.
    ///
    /// - Parameter texts: the ids of each, [CLS] and [SEP] included, without padding
    public func encode(_ texts: [[Int32]]) -> [Float] {
        withoutTape {
            let segments = Segments(lengths: texts.map(\.count))
            let tokens = encoder(texts.flatMap { $0 }, segments)
            return normalizeRows(pooled(tokens, segments)).floats
        }
    }

    private func pooled(_ tokens: Tensor, _ segments: Segments) -> Tensor {
        if pooling == .mean { return segmentMean(tokens, segments) }
        let starts = (0..<segments.count).map { Int32(segments.offsets[$0]) }
        let first = gatherRows(tokens, tokens.device.tensor(starts, shape: [starts.count]))  // [B,D]
        guard let pooler else { return first }
        let y = pooler(first)
        return y.device.tensor(y.floats.map { tanhf($0) }, shape: y.shape)
    }
}
