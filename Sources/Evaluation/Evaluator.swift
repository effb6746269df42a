import Models
import Encoders
import Foundation
import Images
import Support
import TensorCore

/// The result of one benchmark, as CLIP_benchmark writes it, with intervals and the protocol's hash.
package struct EvaluationResult: Sendable {
    package struct Value: Sendable {
        package let name: String
        package let value: Double
        package let low: Double
        package let high: Double

        init(_ metric: Metric) {
            (name, value) = (metric.name, metric.value)
            (low, high) = metric.interval
        }
    }

    package let dataset: String
    package let model: String
    package let task: EvaluationTask.Kind
    package let values: [Value]
    package let protocolHash: String
    package let samples: Int
    /// Images that the protocol leaves out: those without a label in a multi-label set.
    package let skipped: Int
    package let seconds: Double
    /// How the data were read: `EvaluationSet.notes`.
    package let notes: [String]
    /// Every image's key, best classes (of a classification) and part in each metric, in order.
    package let answers: [(key: String, classes: [Int], hits: [String: Double])]
    /// Rows whose products are the scores: images [N,E], and the classifier [C,E] or the captions [M,E].
    package let features: (images: [Float], texts: [Float], width: Int)
    /// A few samples with the model's answers, when they were asked for.
    package let examples: [EvaluationExample]
    /// What the router did, for an ensemble of several.
    package let experts: ExpertsAudit?

    package subscript(name: String) -> Double? { values.first { $0.name == name }?.value }

    package var json: JSON {
        let json: JSON = [
            "dataset": .string(dataset), "model": .string(model), "task": .string(task.rawValue),
            "metrics": .object(Dictionary(uniqueKeysWithValues: values.map { ($0.name, .number($0.value)) })),
            "confidence": .object(
                Dictionary(uniqueKeysWithValues: values.map { ($0.name, [.number($0.low), .number($0.high)]) })),
            "protocol": .string(protocolHash), "samples": .integer(samples), "skipped": .integer(skipped),
            "seconds": .number(seconds), "notes": .array(notes.map { .string($0) }),
        ]
        return experts.map { json.setting("experts", to: $0.json) } ?? json
    }

    /// A JSON object a line for every image: what `PairedComparison` reads.
    package var answerLines: String {
        answers.map { key, classes, hits in
            let line: JSON = [
                "key": .string(key), "classes": .array(classes.map { .integer($0) }),
                "hits": .object(hits.mapValues { .number($0) }),
            ]
            return line.text() + "\n"
        }.joined()
    }

    /// "acc1 0.912 [0.899, 0.924]", a line each.
    package var lines: [String] {
        values.map { value in
            let name = value.name.padding(toLength: max(26, value.name.count), withPad: " ", startingAt: 0)
            return String(format: "  \(name) %.4f  [%.4f, %.4f]", value.value, value.low, value.high)
        }
    }
}

/// Runs a task on a model.
package struct Evaluator: Sendable {
    package let task: EvaluationTask
    package let set: EvaluationSet

    private let conversion: ImageConversion

    /// - Parameter conversion: in which form images are resized
    package init(
        task: EvaluationTask, data: String, images: String? = nil, conversion: ImageConversion = .rgbFirst,
        split: String? = nil
    ) throws {
        self.task = task
        self.conversion = conversion
        set = try EvaluationSet(data, images: images, task: task, conversion: conversion, split: split)
    }

    /// What the figures depend on apart from the model: the task and the data's keys and truths.
    package var digest: String {
        SHA256.hex(task.contents.text() + splitText + conversion.rawValue)
    }

    private var splitText: String {
        let items = set.items
        return items.map {
            "\($0.key)\t\($0.classes.map(String.init).joined(separator: ","))\t\($0.captions.joined(separator: "\n"))"
        }.joined(separator: "\0")
    }

    /// - Parameters:
    ///   - audit: what each expert alone, all alike and the best of them would have reached
    ///   - examples: how many samples to keep with the model's answers
    ///   - progress: sees what is being encoded, how many of how many
    package func run(
        _ ensemble: Ensemble, audit: Bool = false, examples: Int = 0,
        progress: (String, Int, Int) -> Void = { _, _, _ in }
    ) throws -> EvaluationResult {
        let start = Machine.now()
        let items = set.items
        let prompts = task.classNames.map { name in
            task.templates.map { $0.replacingOccurrences(of: "{}", with: name) }
        }
        let texts = task.kind == .classification ? prompts.flatMap { $0 } : items.flatMap(\.captions)
        let isRouted = ensemble.members.count > 1
        let (route, captionRoutes) =
            isRouted
            ? try ensemble.routes(task.kind == .classification ? prompts : texts.map { [$0] }) : (.uniform([0]), [])
        let each = task.kind == .retrieval ? captionRoutes : []
        // Without an audit only members that some weight asks for are run.
        let used = ensemble.members.indices.filter { member in
            audit || ([route] + each).contains { $0.weights[member] > 0 }
        }
        let models = used.map { ensemble.members[$0] }
        let width = ensemble.first.encoder.blueprint.embedWidth
        var (images, encoded) = (ensemble.members.map { _ in [Float]() }, ensemble.members.map { _ in [Float]() })
        for (member, rows) in zip(
            used,
            try Model.encode(models, images: items.count, progress: { progress("images", $0, items.count) }) {
                try items[$0].image()
            })
        {
            images[member] = rows
        }
        for (turn, member) in used.enumerated() {
            let rows = try models[turn].encode(texts: texts) {
                progress("texts", turn * texts.count + $0, models.count * texts.count)
            }
            encoded[member] =
                task.kind == .retrieval
                ? rows
                : Classification.weights(
                    features: rows, classes: task.classNames.count, templates: task.templates.count, width: width)
        }
        let features = TaskFeatures(
            kind: task.kind, images: images, texts: encoded, width: width, targets: items.map(\.classes),
            owner: items.enumerated().flatMap { index, item in item.captions.map { _ in index } },
            device: ensemble.first.encoder.device, imageCount: items.count,
            textCount: task.kind == .retrieval ? texts.count : task.classNames.count)
        let classes = task.classNames.count
        let outcome = features.outcome(
            isRouted && task.kind == .retrieval
                ? .captions(task: route.weights, each: each.map(\.weights)) : .task(route.weights), classes: classes)
        let values = outcome.metrics.map { EvaluationResult.Value($0) }
        return EvaluationResult(
            dataset: task.name, model: ensemble.name, task: task.kind, values: values,
            protocolHash: try protocolHash(ensemble.first), samples: items.count, skipped: set.skipped,
            seconds: Machine.now() - start, notes: set.notes,
            answers: items.indices.map {
                (items[$0].key, outcome.top.isEmpty ? [] : outcome.top[$0], outcome.hits[$0])
            }, features: (outcome.rows.images, outcome.rows.texts, outcome.rows.width),
            examples: try shown(outcome, texts, features.owner, count: examples),
            experts: isRouted
                ? ExpertsAudit(
                    task: task, route: route, each: each, ensemble: ensemble, values: values,
                    features: audit ? features : nil)
                : nil)
    }

    private func shown(_ outcome: TaskFeatures.Outcome, _ texts: [String], _ owner: [Int], count: Int) throws
        -> [EvaluationExample]
    {
        let items = set.items
        return try set.spread(count).map { index in
            switch task.kind {
            case .classification:
                let answers = outcome.top[index].prefix(3).map { c in
                    EvaluationExample.Answer(
                        picture: nil, text: task.classNames[c], score: outcome.rows.score(index, c),
                        isRight: items[index].classes.contains(c))
                }
                let truth = items[index].classes.map { task.classNames[$0] }.joined(separator: ", ")
                return EvaluationExample(query: truth, picture: try set.thumbnail(index), answers: answers)
            case .retrieval:
                let text = owner.firstIndex(of: index)!
                let scores = items.indices.map { outcome.rows.score($0, text) }
                let best = items.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(5)
                let answers = try best.map {
                    EvaluationExample.Answer(
                        picture: try set.thumbnail($0), text: items[$0].key, score: scores[$0], isRight: $0 == index)
                }
                return EvaluationExample(query: texts[text], picture: nil, answers: answers)
            }
        }
    }

    /// The first 16 hexadecimal digits of the SHA-256 of everything the figures depend on but the weights.
    private func protocolHash(_ model: Model) throws -> String {
        var json: JSON = [
            "class_names": .array(task.classNames.map { .string($0) }),
            "templates": .array(task.templates.map { .string($0) }),
            "preprocess_cfg": model.preprocess.json, "tokenizer_sha256": .string(try model.tokenizer.digest),
            "context_length": .integer(model.encoder.blueprint.text.contextLength),
            "split": .string(SHA256.hex(splitText)), "ties": "lower index first",
        ]
        if conversion != .rgbFirst { json = json.setting("convert", to: .string(conversion.rawValue)) }
        return String(SHA256.hex(json.text()).prefix(16))
    }
}
