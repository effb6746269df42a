import Layers
import Support
import TensorCore

/// What open_clip's model configurations have in common.
extension Section {
    /// - Parameters:
    ///   - known: keys that are read, or that change nothing here
    ///   - off: keys of features that are not built, with the value at which they are off
    convenience init(
        _ json: JSON, path: String, name: String, known: Set<String>, unless off: [String: JSON] = [:]
    ) throws {
        try self.init(json, path: path, name: name)
        try requireKnown(known, unless: off)
    }

    /// A size: what no model comes near is refused.
    func size(_ key: String, default fallback: Int? = nil) throws -> Int {
        let range =
            switch key {
            case "layers", "depth": 0...1000
            case "vocab_size": 1...100_000_000
            case "context_length": 1...1 << 20
            default: 1...1 << 17
            }
        return try integer(key, default: fallback, in: range)
    }

    /// A token's id.
    func id(_ key: String, default fallback: Int) throws -> Int {
        try integer(key, default: fallback, in: 0...Int(Int32.max))
    }

    func imageSides(_ key: String, default fallback: Int) throws -> (height: Int, width: Int) {
        try sides(key, default: (fallback, fallback), in: 1...16384)
    }

    func expect(_ key: String, _ word: String) throws { try choice(key, default: word, [word: ()]) }

    /// int(width * mlp_ratio), as open_clip and timm take it.
    func mlpWidth(_ width: Int, default fallback: Double) throws -> Int {
        let product = Double(width) * (try number("mlp_ratio", default: fallback))
        guard product >= 1, product <= 0x1p20 else { throw wrong("mlp_ratio", "is out of range") }
        return Int(product)
    }

    /// GELU by the error function unless the configuration says otherwise. `hidden_act`, a key of our own, is for models
    /// whose towers differ.
    func activation(quickGELU: Bool) throws -> Activation {
        if has("hidden_act") {
            return try choice(
                "hidden_act", default: nil,
                ["quick_gelu": .quickGELU, "gelu": .gelu, "gelu_pytorch_tanh": .geluTanh, "relu": .relu])
        }
        guard has("act_kwargs") else { return quickGELU ? .quickGELU : .gelu }
        let kwargs = try section("act_kwargs")
        try kwargs.requireKnown(["approximate"])
        if quickGELU { throw wrong("act_kwargs", "cannot be combined with quick_gelu") }
        return try kwargs.choice("approximate", default: "none", ["none": .gelu, "tanh": .geluTanh])
    }

    func epsilon(default fallback: Double) throws -> Float {
        let kwargs = try section("norm_kwargs")
        try kwargs.requireKnown(["eps"])
        return Float(try kwargs.number("eps", default: fallback))
    }
}
