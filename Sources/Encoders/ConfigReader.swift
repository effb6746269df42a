import Support
import TensorCore

/// Reads one object of a model configuration; every wrong key is an error that names it.
struct ConfigReader {
    private let members: [String: JSON]
    private let path: String
    private let section: String

    /// - Parameters:
    ///   - known: keys that are read, or that change nothing here
    ///   - unless: keys of features that are not built, with the value at which they are off
    init(_ json: JSON, path: String, section: String, known: Set<String>, unless off: [String: JSON] = [:]) throws {
        guard let members = json.object else { throw Failure(.badData, path, "\(section) is missing or not an object") }
        self.members = members
        self.path = path
        self.section = section
        for (key, value) in members.sorted(by: { $0.key < $1.key }) where !known.contains(key) {
            guard let offValue = off[key] else {
                let hint = didYouMean(key, among: known).map { "Did you mean \($0)?" } ?? ""
                throw Failure(.badData, path, "unknown key \(section).\(key)", remedy: hint)
            }
            let isOff = value == offValue || value.isNull || (value.number != nil && value.number == offValue.number)
            guard isOff else {
                throw Failure(.badData, path, "\(section).\(key): \(value.text()) is not supported by this version")
            }
        }
    }

    func has(_ key: String) -> Bool { members[key].map { !$0.isNull } ?? false }

    func wrong(_ key: String, _ problem: String) -> Failure { Failure(.badData, path, "\(section).\(key): \(problem)") }

    private func value<Value>(_ key: String, _ type: String, _ fallback: Value?, _ read: (JSON) -> Value?) throws
        -> Value
    {
        guard let json = members[key], !json.isNull else {
            guard let fallback else { throw wrong(key, "is missing") }
            return fallback
        }
        guard let value = read(json) else { throw wrong(key, "needs \(type), has \(json.text())") }
        return value
    }

    /// What no model comes near; for other keys 131,072.
    private static let largest = [
        "layers": 1000, "depth": 1000, "vocab_size": 100_000_000, "context_length": 1 << 20,
    ]

    /// Positive unless 0 is the default.
    func integer(_ key: String, default fallback: Int? = nil) throws -> Int {
        let value = try value(key, "an integer", fallback, \.integer)
        let largest = Self.largest[key] ?? (key.hasSuffix("_id") ? Int(Int32.max) : 1 << 17)
        guard value >= 0, value <= largest else { throw wrong(key, "\(value) is out of range, the most is \(largest)") }
        guard value > 0 || key.hasSuffix("_id") || key == "layers" || key == "depth" else {
            throw wrong(key, "must be positive")
        }
        return value
    }

    /// Positive integers.
    func integers(_ key: String, default fallback: [Int]) throws -> [Int] {
        let values = try value(key, "a list of integers", fallback) { json in
            let found = json.array?.map(\.integer)
            return found?.contains(nil) == true ? nil : found?.compactMap { $0 }
        }
        guard values.allSatisfy({ $0 > 0 && $0 <= 1 << 17 }) else { throw wrong(key, "must be in 1...\(1 << 17)") }
        return values
    }

    func number(_ key: String, default fallback: Double? = nil) throws -> Double {
        let value = try value(key, "a number", fallback, \.number)
        guard value.isFinite else { throw wrong(key, "needs a finite number") }
        return value
    }

    func bool(_ key: String, default fallback: Bool? = nil) throws -> Bool {
        try value(key, "true or false", fallback, \.bool)
    }

    func string(_ key: String, default fallback: String? = nil) throws -> String {
        try value(key, "a text", fallback, \.string)
    }

    func choice<Value>(_ key: String, default fallback: String, _ choices: [String: Value]) throws -> Value {
        let word = try string(key, default: fallback)
        guard let choice = choices[word] else {
            throw wrong(key, "\(word) is not one of \(choices.keys.sorted().joined(separator: ", "))")
        }
        return choice
    }

    func expect(_ key: String, _ word: String) throws { _ = try choice(key, default: word, [word: ()]) }

    /// int(width * mlp_ratio), as open_clip and timm take it.
    func mlpWidth(_ width: Int, default fallback: Double) throws -> Int {
        let product = Double(width) * (try number("mlp_ratio", default: fallback))
        guard product >= 1, product <= 0x1p20 else { throw wrong("mlp_ratio", "is out of range") }
        return Int(product)
    }

    private static let largestSide = 16384

    /// One number for a square, [height, width] otherwise.
    func size(_ key: String, default fallback: Int) throws -> (height: Int, width: Int) {
        if let pair = members[key]?.array {
            guard pair.count == 2, let height = pair[0].integer, let width = pair[1].integer, height > 0, width > 0,
                max(height, width) <= Self.largestSide
            else {
                throw wrong(key, "needs [height, width]")
            }
            return (height, width)
        }
        let side = try integer(key, default: fallback)
        guard side <= Self.largestSide else { throw wrong(key, "\(side) is out of range") }
        return (side, side)
    }

    /// GELU by the error function unless the configuration says otherwise. `hidden_act`, a key of our own, is for models
    /// whose towers differ.
    func activation(quickGELU: Bool) throws -> Activation {
        if has("hidden_act") {
            return try choice(
                "hidden_act", default: "gelu",
                ["quick_gelu": .quickGELU, "gelu": .gelu, "gelu_pytorch_tanh": .geluTanh, "relu": .relu])
        }
        guard has("act_kwargs") else { return quickGELU ? .quickGELU : .gelu }
        let kwargs = try ConfigReader(
            members["act_kwargs"] ?? .null, path: path, section: section + ".act_kwargs", known: ["approximate"])
        if quickGELU { throw wrong("act_kwargs", "cannot be combined with quick_gelu") }
        return try kwargs.choice("approximate", default: "none", ["none": .gelu, "tanh": .geluTanh])
    }

    func epsilon(default fallback: Double) throws -> Float {
        guard has("norm_kwargs") else { return Float(fallback) }
        let kwargs = try ConfigReader(
            members["norm_kwargs"] ?? .null, path: path, section: section + ".norm_kwargs", known: ["eps"])
        return Float(try kwargs.number("eps", default: fallback))
    }
}
