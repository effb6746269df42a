import Encoders
import Foundation
import Support
import TensorCore

/// The result of one benchmark, as CLIP_benchmark writes it, with intervals and the protocol's hash.
public struct EvaluationResult: Sendable {
    public struct Value: Sendable {
        public let name: String
        public let value: Double
        public let low: Double
        public let high: Double
    }

    public let dataset: String
    public let model: String
    public let task: EvaluationTask.Kind
    public let values: [Value]
    public let protocolHash: String
    public let samples: Int
    public let seconds: Double
    /// A few samples with the model's answers, when they were asked for.
    public let examples: [EvaluationExample]

    public subscript(name: String) -> Double? { values.first { $0.name == name }?.value }

    public var json: JSON {
        [
            "dataset": .string(dataset), "model": .string(model), "task": .string(task.rawValue),
            "metrics": .object(Dictionary(uniqueKeysWithValues: values.map { ($0.name, .number($0.value)) })),
            "confidence": .object(
                Dictionary(uniqueKeysWithValues: values.map { ($0.name, [.number($0.low), .number($0.high)]) })),
            "protocol": .string(protocolHash), "samples": .integer(samples), "skipped": 0, "seconds": .number(seconds),
        ]
    }

    /// "acc1 0.912 [0.899, 0.924]", a line each.
    public var lines: [String] {
        values.map { value in
            let name = value.name.padding(toLength: max(26, value.name.count), withPad: " ", startingAt: 0)
            return String(format: "  \(name) %.4f  [%.4f, %.4f]", value.value, value.low, value.high)
        }
    }
}

/// Runs a task on a model.
public struct Evaluator: Sendable {
    public let task: EvaluationTask
    public let set: EvaluationSet

    public init(task: EvaluationTask, data: String, images: String? = nil) throws {
        self.task = task
        set = try EvaluationSet(data, images: images, task: task)
    }

    /// - Parameters:
    ///   - examples: how many samples to keep with the model's answers
    ///   - progress: sees what is being encoded, how many of how many
    public func run(
        _ model: LoadedModel, examples: Int = 0, progress: (String, Int, Int) -> Void = { _, _, _ in }
    ) throws -> EvaluationResult {
        let start = Machine.now()
        let items = set.items
        let features = try model.encode(images: items.count, progress: { progress("images", $0, items.count) }) {
            try items[$0].image()
        }
        let width = model.model.blueprint.embedWidth
        let device = model.model.device
        let images = device.tensor(features, shape: [items.count, width])
        let metrics: [Metric]
        var shown: [EvaluationExample] = []
        switch task.kind {
        case .classification:
            let texts = task.classNames.flatMap { name in
                task.templates.map { $0.replacingOccurrences(of: "{}", with: name) }
            }
            let encoded = model.encode(texts: texts) { progress("prompts", $0, texts.count) }
            let classes = task.classNames.count
            let weights = Classification.weights(
                features: encoded, classes: classes, templates: task.templates.count, width: width)
            let top = Classification.top(
                min(5, classes), images: images, weights: device.tensor(weights, shape: [classes, width]))
            let targets = items.map { $0.classIndex ?? 0 }
            if let wrong = targets.firstIndex(where: { $0 >= classes }) {
                throw Failure(
                    .badData, items[wrong].key, "class \(targets[wrong]) is outside of the task's \(classes) classes")
            }
            metrics = Classification.metrics(top: top, targets: targets, classes: classes)
            shown = try set.spread(examples).map { index in
                let answers = top[index].prefix(3).map { c in
                    let score = dot(features, index, weights, c, width)
                    return EvaluationExample.Answer(
                        picture: nil, text: task.classNames[c], score: score, isRight: c == targets[index])
                }
                return EvaluationExample(
                    query: task.classNames[targets[index]], picture: try set.thumbnail(index), answers: answers)
            }
        case .retrieval:
            let texts = items.flatMap(\.captions)
            let owner = items.enumerated().flatMap { index, item in item.captions.map { _ in index } }
            let encoded = model.encode(texts: texts) { progress("captions", $0, texts.count) }
            let ranks = Retrieval.ranks(
                images: images, texts: device.tensor(encoded, shape: [texts.count, width]), owner: owner)
            metrics = Retrieval.metrics(ranks, owner: owner)
            shown = try set.spread(examples).map { index in
                let text = owner.firstIndex(of: index)!
                let scores = items.indices.map { dot(encoded, text, features, $0, width) }
                let best = items.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(5)
                let answers = try best.map {
                    EvaluationExample.Answer(
                        picture: try set.thumbnail($0), text: items[$0].key, score: scores[$0], isRight: $0 == index)
                }
                return EvaluationExample(query: texts[text], picture: nil, answers: answers)
            }
        }
        return EvaluationResult(
            dataset: task.name, model: model.name, task: task.kind,
            values: metrics.map {
                let (low, high) = $0.interval
                return EvaluationResult.Value(name: $0.name, value: $0.value, low: low, high: high)
            }, protocolHash: protocolHash(model), samples: items.count, seconds: Machine.now() - start,
            examples: shown)
    }

    private func dot(_ a: [Float], _ i: Int, _ b: [Float], _ j: Int, _ width: Int) -> Float {
        (0..<width).reduce(0) { $0 + a[i * width + $1] * b[j * width + $1] }
    }

    /// The first 16 hexadecimal digits of the SHA-256 of everything the figures depend on but the weights.
    private func protocolHash(_ model: LoadedModel) -> String {
        let split = set.items.map {
            "\($0.key)\t\($0.classIndex.map(String.init) ?? "")\t\($0.captions.joined(separator: "\n"))"
        }
        let json: JSON = [
            "class_names": .array(task.classNames.map { .string($0) }),
            "templates": .array(task.templates.map { .string($0) }),
            "preprocess_cfg": model.preprocess.json, "tokenizer_sha256": .string(model.tokenizer.digest),
            "context_length": .integer(model.model.blueprint.text.contextLength),
            "split": .string(SHA256.hex(split.joined(separator: "\0"))), "ties": "lower index first",
        ]
        return String(SHA256.hex(json.text()).prefix(16))
    }
}
