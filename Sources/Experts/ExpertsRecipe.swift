import Foundation
package import StrictYAML
import Support

/// From captions to an evaluated mixture, as a YAML file states it. Paths are relative to the working folder.
package struct ExpertsRecipe {
    package enum Split: String, Sendable, CaseIterable {
        case clusters
        /// Samples dealt out at random: the control.
        case random
    }

    package struct Evaluation: Sendable {
        package let task: String
        package let data: String
        package let images: String?
    }

    /// The merged file, kept in the experts folder.
    package let file: YAMLFile
    /// Folder of the dense run that every expert continues.
    package let seedRun: String
    /// nil: its last checkpoint.
    package let seedStep: Int?
    package let experts: Int
    package let split: Split
    package let embedder: (kind: EmbedderCard.Kind, path: String, width: Int)
    /// Captions that the clusters are fitted on, at most.
    package let sample: Int
    package let fine: KMeans
    package let outOfCluster: Double
    package let router: RouterForm
    package let evaluations: [Evaluation]

    /// - Parameter overrides: `key=value`, as --set gives them
    /// - Throws: `Failure` naming file, line and key.
    package init(_ path: String, overrides: [String] = []) throws {
        guard let path = Paths.find(path) else {
            throw Failure(
                .inputMissing, path, "no such recipe", remedy: "See Recipes/experts for those that come with Diptych")
        }
        var file = try YAMLFile(path)
        for override in overrides { try file.set(override) }
        let top = try Section(file)
        _ = try top.optionalString("about")
        seedRun = try top.string("seed_run")
        seedStep = try top.optionalInteger("seed_step")
        experts = try top.integer("experts", in: 1...4096)
        split = try top.choice("split", default: .clusters)
        outOfCluster = try top.number("out_of_cluster", default: experts == 1 ? 0 : 0.02, in: 0...1)

        let clusters = try top.section("clusters")
        let kind = try clusters.section("embedder")
        let embedderKind: EmbedderCard.Kind = try kind.choice("kind", default: .tfidf)
        embedder = (
            embedderKind, embedderKind == .tfidf ? "" : try kind.string("path"),
            try kind.integer("width", default: 64, in: 1...4096)
        )
        sample = try clusters.integer("sample", default: 100_000, in: 1...largestCount)
        var fine = KMeans(clusters: try clusters.integer("fine", default: 1024, in: 1...1_000_000))
        fine.balance = try clusters.choice("balance", default: .auction)
        fine.start = try clusters.choice("start", default: .plusPlus)
        fine.iterations = try clusters.integer("iterations", default: 50, in: 1...1_000_000)
        fine.restarts = try clusters.integer("restarts", default: 1, in: 1...1000)
        fine.chunk = try clusters.integer("chunk", default: 4096, in: 1...largestCount)
        fine.epsilon = try clusters.number("epsilon", default: 0.05, in: 0.01...100)
        fine.seed = UInt64(try clusters.integer("seed", default: 0, in: 0...Int.max))
        self.fine = fine
        guard experts <= fine.clusters else {
            throw top.wrong(
                "experts", "\(experts) experts need as many fine clusters, clusters.fine is \(fine.clusters)")
        }
        let routing = try top.section("router")
        switch try routing.choice("form", default: RouterForm.Name.paper) {
        case .paper: router = .paper(lambda: try routing.number("lambda", default: 0.2, in: 1e-6...1e6))
        case .release: router = .release
        }
        evaluations = try top.sections("evaluations").map {
            Evaluation(
                task: try $0.string("task"), data: try $0.string("data"), images: try $0.optionalString("images"))
        }
        try top.finish()
        self.file = file
    }
}
