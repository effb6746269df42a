import Tokenization
import Encoders
import Foundation
package import Processes
package import Images
import Models
package import Records
import Support
import TensorCore

/// A benchmark's result with what it was judged by.
package struct EvaluationResult: Sendable {
    package let record: EvaluationRecord
    /// Every image's key, best classes (of a classification) and part in each metric, in order.
    package let answers: [(key: String, classes: [Int], hits: [String: Double])]
    /// Rows whose products are the scores: images [N,E], and the classifier [C,E] or the captions [M,E].
    package let features: (images: [Float], texts: [Float], width: Int)
    /// A few samples with the model's answers, when they were asked for.
    package let examples: [ExampleRecord]

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
        record.values.map { value in
            let name = value.name.padding(toLength: max(26, value.name.count), withPad: " ", startingAt: 0)
            return String(format: "  \(name) %.4f  [%.4f, %.4f]", value.value, value.low, value.high)
        }
    }
}

/// Runs a task on a model: routes, encodes once, judges.
package struct Evaluator: Sendable {
    package let task: any EvaluationTask
    package let set: EvaluationSet
    private let conversion: ImageConversion

    /// - Parameter conversion: in which form images are resized
    /// - Throws: `Failure` naming what is missing or damaged
    package init(
        task: any EvaluationTask, data: String, images: String? = nil, conversion: ImageConversion = .rgbFirst,
        split: String? = nil
    ) throws {
        self.task = task
        self.conversion = conversion
        set = try EvaluationSet(data, images: images, task.request, conversion: conversion, split: split)
    }

    /// What the figures depend on apart from the model: the task and the data's keys and truths.
    package var digest: String { SHA256.hex(task.contents.text() + splitText + conversion.rawValue) }

    private var splitText: String {
        self.set.items.map {
            "\($0.key)\t\($0.classes.map(String.init).joined(separator: ","))\t\($0.captions.joined(separator: "\n"))"
        }.joined(separator: "\0")
    }

    /// Collective over several ranks, which share the encoding out among them.
    ///
    /// - Parameters:
    ///   - audit: what each expert alone, all alike and the best of them would have reached
    ///   - examples: how many samples to keep with the model's answers
    ///   - progress: sees what is being encoded, how many of how many
    /// - Returns: nil at all ranks but rank 0
    package func run(
        _ ensemble: Ensemble, over group: any ProcessGroup = Alone(), audit: Bool = false, examples: Int = 0,
        progress: (String, Int, Int) -> Void = { _, _, _ in }
    ) throws -> EvaluationResult? {
        let start = Machine.now()
        try checkSame(over: group)
        let groups = task.texts(set)
        let isRouted = ensemble.members.count > 1
        let (route, routes) = isRouted ? try ensemble.routes(groups) : (.uniform([0]), [])
        let each = type(of: task).hasQueries ? routes : []
        // Without an audit only members that some weight asks for are run.
        let used = ensemble.members.indices.filter { member in
            audit || ([route] + each).contains { $0.weights[member] > 0 }
        }
        guard let table = try encode(ensemble, used, groups, group, progress) else { return nil }
        let outcome = task.outcome(
            table, each.isEmpty ? .task(route.weights) : .captions(task: route.weights, each: each.map(\.weights)), set)
        var record = EvaluationRecord(
            dataset: task.name, model: ensemble.name, task: task.kind, values: outcome.metrics.map(\.record))
        record.protocolHash = try protocolHash(ensemble.first)
        (record.samples, record.skipped, record.notes) = (set.items.count, set.skipped, set.notes)
        if isRouted {
            record.experts = AuditRecord(
                ensemble, route, each: each, classNames: task.protocolParts.classNames, routed: record.values,
                outcome: audit ? { task.outcome(table, .task($0), set).metrics } : nil)
        }
        record.seconds = Machine.now() - start
        return EvaluationResult(
            record: record,
            answers: set.items.indices.map {
                (set.items[$0].key, outcome.top.isEmpty ? [] : outcome.top[$0], outcome.hits[$0])
            }, features: (outcome.rows.images, outcome.rows.texts, outcome.rows.width),
            examples: try set.spread(examples).map { try task.example($0, outcome, set) })
    }

    /// - Throws: `Failure(.badData)` at a rank whose task or data are others than rank 0's
    private func checkSame(over group: any ProcessGroup) throws {
        guard group.size > 1, try group.texts(digest, "digests of the evaluation")[0] != digest else { return }
        throw Failure(
            .badData, task.name, "the task or the data here are not those of \(group.name(of: 0))",
            remedy: "Give every machine the same files")
    }

    /// Every image and text once, by every member that counts; at rank 0.
    private func encode(
        _ ensemble: Ensemble, _ used: [Int], _ groups: [[String]], _ group: any ProcessGroup,
        _ progress: (String, Int, Int) -> Void
    ) throws -> FeatureTable? {
        let (items, texts) = (set.items, groups.flatMap { $0 })
        let models = used.map { ensemble.members[$0] }
        let width = ensemble.first.encoder.blueprint.embedWidth
        var (images, encoded) = (ensemble.members.map { _ in [Float]() }, ensemble.members.map { _ in [Float]() })
        let rows = try Model.encode(
            models, images: items.count, over: group, progress: { progress("images", $0, items.count) }
        ) { try items[$0].image() }
        for (member, rows) in zip(used, rows) { images[member] = rows }
        for (turn, member) in used.enumerated() {
            let rows = try models[turn].encode(texts: texts, over: group) {
                progress("texts", turn * texts.count + $0, models.count * texts.count)
            }
            if group.isRoot { encoded[member] = task.rows(rows, width: width) }
        }
        guard group.isRoot else { return nil }
        return FeatureTable(
            images: images, texts: encoded, width: width, imageCount: items.count, textCount: groups.count,
            device: ensemble.first.encoder.device)
    }

    /// The first 16 hexadecimal digits of the SHA-256 of everything the figures depend on but the weights.
    private func protocolHash(_ model: Model) throws -> String {
        let parts = task.protocolParts
        var json: JSON = [
            "class_names": .array(parts.classNames.map { .string($0) }),
            "templates": .array(parts.templates.map { .string($0) }),
            "preprocess_cfg": model.preprocess.json, "tokenizer_sha256": .string(try model.tokenizer.digest),
            "context_length": .integer(model.encoder.blueprint.text.contextLength),
            "split": .string(SHA256.hex(splitText)), "ties": "lower index first",
        ]
        if conversion != .rgbFirst { json = json.setting("convert", to: .string(conversion.rawValue)) }
        return String(SHA256.hex(json.text()).prefix(16))
    }
}
