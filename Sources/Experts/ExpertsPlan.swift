import Shards
import Foundation
import StrictYAML
import Support

/// Turns an assignment into ordinary training runs: a recipe for each expert, which continues the seed run's
/// checkpoint on the expert's own samples for its share of the remaining steps.
package struct ExpertsPlan: Sendable {
    /// The seed run, the checkpoint it is continued from, and the steps it would have taken in all.
    package struct Seed: Sendable {
        package let recipe: String
        package let checkpoint: String
        package let total: Int

        package init(recipe: String, checkpoint: String, total: Int) {
            self.recipe = recipe
            self.checkpoint = checkpoint
            self.total = total
        }
    }

    package let sizes: [Int]
    /// Of each expert: round(share of the samples x remaining steps), so that all together see what the dense run
    /// would have seen.
    package let steps: [Int]

    /// - Parameter batch: pairs of a step
    /// - Throws: `Failure(.badData)` when an expert owns too few samples for one step or one batch.
    package init(_ assignment: Assignment, experts: Int, remaining: Int, batch: Int) throws {
        sizes = (0..<experts).map { assignment.size(of: $0) }
        let total = Double(max(1, assignment.expert.count))
        steps = sizes.map { Int((Double($0) / total * Double(remaining)).rounded()) }
        if let idle = steps.indices.first(where: { steps[$0] == 0 || sizes[$0] < batch }) {
            throw Failure(
                .badData, "expert \(idle)",
                "owns \(sizes[idle]) samples, too few for a batch of \(batch) or one of \(remaining) steps",
                remedy: "Lower experts, or balance the clusters")
        }
    }

    /// Writes the seed's checkpoint, the assignment, the recipes and `experts.yaml` into the folder.
    package func write(_ recipe: ExpertsRecipe, _ seed: Seed, _ assignment: Assignment, to folder: String) throws {
        let manager = FileManager.default
        let checkpoint = folder + "/seed"
        try AtomicFile.writeFolder(checkpoint) { target in
            for name in try manager.contentsOfDirectory(atPath: seed.checkpoint) {
                do { try manager.copyItem(atPath: "\(seed.checkpoint)/\(name)", toPath: "\(target)/\(name)") } catch {
                    throw Failure(.io, "\(seed.checkpoint)/\(name)", "cannot be copied: \(error.localizedDescription)")
                }
            }
        }
        let assigned = folder + "/assignment.safetensors"
        try assignment.write(to: assigned)
        func quoted(_ text: String) -> String { JSON.string(text).text() }
        for expert in sizes.indices {
            var file = try YAMLFile(seed.recipe)
            for key in ["epochs", "steps", "evaluations", "about"] { file.remove(key) }
            try file.set("about=\(quoted("expert \(expert) of \(folder)"))")
            try file.set("steps=\(steps[expert])")
            try file.set("continue={checkpoint: \(quoted(checkpoint)), total: \(seed.total)}")
            let selection = "\(folder)/expert-\(expert).selection"
            let draws = UInt64(try Section(file).integer("seed", default: 0))
            try assignment.selection(expert: expert, outOfCluster: recipe.outOfCluster, seed: draws).write(
                to: selection)
            try file.set("data.selection=\(quoted(selection))")
            try AtomicFile.write(file.text(), to: "\(folder)/expert-\(expert).yaml")
        }
        try ExpertsFolder.write(
            to: folder, sizes.indices.map { ($0, sizes[$0], steps[$0]) }, split: recipe.split,
            router: recipe.router,
            clusters: recipe.split == .clusters ? Clusters.digest(of: folder + "/clusters") : nil)
    }
}
