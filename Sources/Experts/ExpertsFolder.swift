package import Models
package import Evaluation
import Foundation
import StrictYAML
import Support
package import TensorCore

/// The experts of one mixture on disk: `experts.yaml` names their model folders, the clusters and the router's form.
package struct ExpertsFolder: Sendable {
    package struct Expert: Sendable {
        package let index: Int
        /// The training run.
        package let run: String
        package let recipe: String
        package let samples: Int
        package let steps: Int

        package var model: String { run + "/model" }
        package var isTrained: Bool { Files.exists(model) }
    }

    static let cardName = "experts.yaml"

    package let path: String
    package let experts: [Expert]
    package let split: ExpertsRecipe.Split
    package let router: RouterForm
    /// SHA-256 of the clusters that the samples were assigned by.
    private let clustersDigest: String?
    package var clustersPath: String { path + "/clusters" }

    package static func stands(at path: String) -> Bool {
        Files.exists(path + "/" + cardName)
    }

    /// - Throws: `Failure` naming file, line and key.
    package init(_ path: String) throws {
        self.path = path
        let file = path + "/" + Self.cardName
        guard Files.exists(file) else {
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
        clustersDigest = try top.optionalString("clusters_sha256")
        guard !experts.isEmpty else { throw Failure(.badData, file, "names no experts") }
        guard Set(experts.map(\.index)).count == experts.count else {
            throw Failure(.badData, file, "names an expert twice")
        }
        try top.finish()
    }

    /// The same experts routed by another form.
    package func write(router: RouterForm) throws {
        try Self.write(
            to: path, experts.map { ($0.index, $0.samples, $0.steps) }, split: split, router: router,
            clusters: clustersDigest)
    }

    static func write(
        to path: String, _ experts: [(index: Int, samples: Int, steps: Int)], split: ExpertsRecipe.Split,
        router: RouterForm, clusters: String?
    ) throws {
        var lines = [
            "# Made by diptych experts plan. An expert taken out of this list no longer counts.",
            "split: \(split.rawValue)",
        ]
        switch router {
        case .paper(let lambda): lines += ["router: paper", "lambda: \(lambda)"]
        case .release: lines += ["router: release"]
        }
        if let clusters { lines.append("clusters_sha256: \(clusters)") }
        lines.append("experts:")
        lines += experts.map { "  - {index: \($0.index), samples: \($0.samples), steps: \($0.steps)}" }
        try AtomicFile.write(lines.joined(separator: "\n") + "\n", to: path + "/" + cardName)
    }

    /// The router of these experts; nil for a random split, whose experts all count the same.
    ///
    /// - Parameters:
    ///   - name: a form instead of the folder's
    ///   - embedder: where the embedder stands now
    package func router(
        _ name: RouterForm.Name? = nil, embedder: String? = nil, on device: any Device
    ) throws -> Router? {
        guard split == .clusters else { return nil }
        let clusters = try Clusters(clustersPath)
        guard try clustersDigest == nil || clustersDigest == Clusters.digest(of: clustersPath) else {
            throw Failure(
                .badData, clustersPath, "is not what the experts' samples were assigned by",
                remedy: "Restore it, or plan and train again in another folder")
        }
        let form: RouterForm =
            switch (name, router) {
            case (nil, _), (.paper, .paper): router
            case (.paper, .release): .paper(lambda: 0.2)
            case (.release, _): .release
            }
        if let unknown = experts.first(where: { $0.index >= clusters.experts }) {
            throw Failure(
                .badData, path + "/" + Self.cardName,
                "expert \(unknown.index) has no cluster, there are \(clusters.experts)")
        }
        return Router(
            form, clusters, try clusters.openEmbedder(embedder, on: device), present: experts.map(\.index),
            on: device)
    }

    /// - Throws: `Failure(.inputMissing)` naming an expert that is not trained.
    package func models(tokenizer: String?, on device: any Device) throws -> [Model] {
        for expert in experts where !expert.isTrained {
            throw Failure(
                .inputMissing, expert.model, "expert \(expert.index) is not trained",
                remedy: "Run diptych experts train, or take it out of \(path)/\(Self.cardName)")
        }
        return try experts.map { try Model($0.model, tokenizer: tokenizer, on: device) }
    }
}

/// How an experts folder is to be run.
package struct EnsembleOptions: Sendable {
    package var tokenizer: String?
    package var form: RouterForm.Name?
    package var embedder: String?
    package var top: Int?

    package init(tokenizer: String? = nil, form: RouterForm.Name? = nil, embedder: String? = nil, top: Int? = nil) {
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
    ///
    /// - Parameter isRouted: whether tasks will be routed; features alone need no router
    package init(
        _ path: String, _ options: EnsembleOptions = EnsembleOptions(), isRouted: Bool = true, on device: any Device
    ) throws {
        guard ExpertsFolder.stands(at: path) else {
            self.init(try Model(path, tokenizer: options.tokenizer, on: device))
            return
        }
        let folder = try ExpertsFolder(path)
        try self.init(
            folder.models(tokenizer: options.tokenizer, on: device), experts: folder.experts.map(\.index),
            router: isRouted ? folder.router(options.form, embedder: options.embedder, on: device) : nil,
            top: options.top, name: path)
    }
}
