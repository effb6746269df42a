import Evaluation
import Foundation
import RecipeSchema
import Support
import TensorCore

/// The experts of one mixture on disk: `experts.yaml` names their model folders, the clusters and the router's form.
public struct ExpertsFolder: Sendable {
    public struct Expert: Sendable {
        public let index: Int
        /// The training run.
        public let run: String
        public let recipe: String
        public let samples: Int
        public let steps: Int

        public var model: String { run + "/model" }
        public var isTrained: Bool { FileManager.default.fileExists(atPath: model) }
    }

    static let cardName = "experts.yaml"

    public let path: String
    public let experts: [Expert]
    public let split: ExpertsRecipe.Split
    public let router: RouterForm
    public var clustersPath: String { path + "/clusters" }

    public static func stands(at path: String) -> Bool {
        FileManager.default.fileExists(atPath: path + "/" + cardName)
    }

    /// - Throws: `Failure` naming file, line and key.
    public init(_ path: String) throws {
        self.path = path
        let file = path + "/" + Self.cardName
        guard FileManager.default.fileExists(atPath: file) else {
            throw Failure(.inputMissing, file, "there is no plan yet", remedy: "Make it: diptych experts plan")
        }
        let top = try Section(file: file)
        split = try top.choice("split")
        let form: RouterForm.Name = try top.choice("router")
        let lambda = try top.number("lambda", default: 0.2)
        router = form == .paper ? .paper(lambda: lambda) : .release
        experts = try top.sections("experts").map {
            let index = try $0.integer("index")
            return Expert(
                index: index, run: "\(path)/expert-\(index)", recipe: "\(path)/expert-\(index).yaml",
                samples: try $0.integer("samples"), steps: try $0.integer("steps"))
        }
        guard !experts.isEmpty else { throw Failure(.badData, file, "names no experts") }
        try top.finish()
    }

    static func write(
        to path: String, _ experts: [(index: Int, samples: Int, steps: Int)], split: ExpertsRecipe.Split,
        router: RouterForm
    ) throws {
        var lines = [
            "# Made by diptych experts plan. An expert taken out of this list no longer counts.",
            "split: \(split.rawValue)",
        ]
        switch router {
        case .paper(let lambda): lines += ["router: paper", "lambda: \(lambda)"]
        case .release: lines += ["router: release"]
        }
        lines.append("experts:")
        lines += experts.map { "  - {index: \($0.index), samples: \($0.samples), steps: \($0.steps)}" }
        try AtomicFile.write(lines.joined(separator: "\n") + "\n", to: path + "/" + cardName)
    }

    /// The router of these experts; nil for a random split, whose experts all count the same.
    ///
    /// - Parameters:
    ///   - form: instead of the recipe's
    ///   - embedder: where the embedder stands now
    public func router(
        _ form: RouterForm? = nil, embedder: String? = nil, on device: any Device
    ) throws -> Router? {
        guard split == .clusters else { return nil }
        let clusters = try Clusters(clustersPath)
        if let unknown = experts.first(where: { $0.index >= clusters.experts }) {
            throw Failure(
                .badData, path + "/" + Self.cardName,
                "expert \(unknown.index) has no cluster, there are \(clusters.experts)")
        }
        return Router(
            form ?? router, clusters, try clusters.openEmbedder(embedder, on: device), present: experts.map(\.index),
            on: device)
    }

    /// - Throws: `Failure(.inputMissing)` naming an expert that is not trained.
    public func models(tokenizer: String?, on device: any Device) throws -> [LoadedModel] {
        for expert in experts where !expert.isTrained {
            throw Failure(
                .inputMissing, expert.model, "expert \(expert.index) is not trained",
                remedy: "Run diptych experts train, or take it out of \(path)/\(Self.cardName)")
        }
        return try experts.map { try LoadedModel($0.model, tokenizer: tokenizer, on: device) }
    }
}

/// How an experts folder is to be run.
public struct EnsembleOptions: Sendable {
    public var tokenizer: String?
    public var form: RouterForm?
    public var embedder: String?
    public var top: Int?

    public init(tokenizer: String? = nil, form: RouterForm? = nil, embedder: String? = nil, top: Int? = nil) {
        self.tokenizer = tokenizer
        self.form = form
        self.embedder = embedder
        self.top = top
    }
}

extension Ensemble {
    /// A model folder, or an experts folder.
    ///
    /// - Throws: `Failure` naming what is missing or does not fit.
    public init(_ path: String, _ options: EnsembleOptions = EnsembleOptions(), on device: any Device) throws {
        guard ExpertsFolder.stands(at: path) else {
            self.init(try LoadedModel(path, tokenizer: options.tokenizer, on: device))
            return
        }
        let folder = try ExpertsFolder(path)
        try self.init(
            folder.models(tokenizer: options.tokenizer, on: device),
            router: folder.router(options.form, embedder: options.embedder, on: device), top: options.top, name: path)
    }
}
