import Foundation
import Shards
import Support
import Tokenization

/// What a run is made of besides its recipe's text, by digests: a resume goes on with the same run only if these are the
/// same. Kept as inputs.json in the run folder.
struct RunInputs: Equatable {
    /// Parts that --allow-changed may name.
    enum Part: String, CaseIterable {
        case data, validation, tokenizer, model, tasks
    }

    private(set) var parts: [Part: [String: String]] = [:]

    static let fileName = "inputs.json"

    init(_ recipe: Recipe, _ setup: TrainingSetup, evaluations: [TaskInputs]) throws {
        parts[.data] = try Self.digests(setup.order.sources)
        if let selection = recipe.data.selection { parts[.data]?[selection] = SHA256.hex(try readFile(selection)) }
        if !recipe.data.fields.classes.isEmpty {
            parts[.data]?["data.classes"] = SHA256.hex(recipe.data.fields.classes.joined(separator: "\n"))
            parts[.data]?["data.templates"] = SHA256.hex(recipe.data.fields.templates.joined(separator: "\n"))
        }
        if !recipe.due.validationShards.isEmpty {
            parts[.validation] = try Self.digests([ShardSource(recipe.due.validationShards)])
        }
        parts[.tokenizer] = [
            recipe.tokenizer: SHA256.hex(setup.tokenizer.digest + (try TokenizerCard(recipe.tokenizer)).rules.text())
        ]
        parts[.model] = [recipe.model.path: SHA256.hex(recipe.model.config.text() + recipe.model.preprocess.text())]
        if !evaluations.isEmpty {
            parts[.tasks] = Dictionary(evaluations.map { ($0.task, $0.digest) }) { SHA256.hex($0 + $1) }
        }
    }

    /// Parts by their names.
    ///
    /// - Throws: `Failure(.usage)` for a name that is none
    static func parts(_ names: [String]) throws -> Set<Part> {
        Set(
            try names.map { name in
                guard let part = Part(rawValue: name) else {
                    let all = Part.allCases.map(\.rawValue)
                    throw Failure(
                        .usage, "--allow-changed \(name)", "is not one of \(all.joined(separator: ", "))",
                        remedy: didYouMean(name, among: all).map { "Did you mean \($0)?" } ?? "")
                }
                return part
            })
    }

    /// One evaluation of the recipe.
    struct TaskInputs {
        let task: String
        let digest: String
    }

    private static func digests(_ sources: [ShardSource]) throws -> [String: String] {
        var found: [String: String] = [:]
        for shard in sources.flatMap(\.shards) { found[shard.path] = try shard.digest() }
        return found
    }

    private var json: JSON {
        .object(
            Dictionary(uniqueKeysWithValues: parts.map { ($0.rawValue, .object($1.mapValues { .string($0) })) }))
    }

    func write(to run: String) throws {
        try AtomicFile.write(json.text(indent: 1) + "\n", to: run + "/" + Self.fileName)
    }

    private init(json: JSON) {
        for part in Part.allCases {
            parts[part] = json[part.rawValue]?.object?.compactMapValues(\.string)
        }
    }

    /// Compares with what the run began with, and keeps what is new where it may be.
    ///
    /// - Parameter allowed: parts that may have changed
    /// - Returns: what changed and was allowed, for people to read
    /// - Throws: `Failure(.usage)` naming what changed
    func requireSame(asIn run: String, allowing allowed: Set<Part>) throws -> [String] {
        let file = run + "/" + Self.fileName
        guard Files.exists(file) else {
            try write(to: run)
            return ["\(file) is not there: whether the inputs are those that the run began with is not known"]
        }
        let before = RunInputs(json: try JSON(file: file))
        var (refused, noted, needed) = ([String](), [String](), [Part]())
        for part in Part.allCases {
            let changes = Self.changes(before.parts[part] ?? [:], parts[part] ?? [:])
            guard !changes.isEmpty else { continue }
            let sentence =
                "\(part.rawValue): " + changes.prefix(5).joined(separator: ", ") + (changes.count > 5 ? ", ..." : "")
            if allowed.contains(part) {
                noted.append("changed, as allowed: \(sentence)")
            } else {
                refused.append(sentence)
                needed.append(part)
            }
        }
        guard refused.isEmpty else {
            throw Failure(
                .usage, run, "the run's inputs are no longer what it began with: \(refused.joined(separator: "; "))",
                remedy: "Restore them, or go on with others on purpose: "
                    + needed.map { "--allow-changed \($0.rawValue)" }.joined(separator: " "))
        }
        if !noted.isEmpty { try write(to: run) }
        return noted
    }

    private static func changes(_ before: [String: String], _ now: [String: String]) -> [String] {
        Set(before.keys).union(now.keys).sorted().compactMap { name in
            switch (before[name], now[name]) {
            case (let old?, let new?): old == new ? nil : "\(name) has changed"
            case (_?, nil): "\(name) is gone"
            case (nil, _?): "\(name) is new"
            case (nil, nil): nil
            }
        }
    }
}
