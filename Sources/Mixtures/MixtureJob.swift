import StrictYAML
package import Experts
import Foundation
package import Processes
import Shards
import Support
package import TensorCore
import Training

/// The steps from a recipe to trained experts, each of which leaves its result in the folder.
package struct MixtureJob {
    private let recipe: ExpertsRecipe
    private let folder: String
    private let device: any Device
    private let observer: any MixtureObserver
    private let seed: Recipe

    /// - Parameter folder: of the mixture
    /// - Throws: `Failure` when the recipe's seed run is none, or the folder belongs to another recipe
    package init(
        _ recipe: ExpertsRecipe, folder: String, on device: any Device, observer: any MixtureObserver
    ) throws {
        (self.recipe, self.folder, self.device, self.observer) = (recipe, folder, device, observer)
        let dense = recipe.seedRun + "/recipe.yaml"
        guard Files.exists(dense) else {
            throw Failure(
                .inputMissing, recipe.seedRun, "is no run folder: it has no recipe.yaml",
                remedy: "seed_run names a dense run, stopped by diptych train --until")
        }
        seed = try Recipe(dense)
        guard seed.model.continuation == nil, seed.data.selection == nil else {
            throw Failure(
                .badData, dense, "is itself a continuation or an expert, which experts cannot go on from",
                remedy: "Name the dense run it came from")
        }
        let own = folder + "/recipe.yaml"
        if Files.exists(own) {
            try recipe.file.requireSame(as: own, except: ["about", "router", "evaluations"])
        }
    }

    private func claim() throws {
        try Files.makeFolder(folder)
        try AtomicFile.write(recipe.file.text(), to: folder + "/recipe.yaml")
    }

    private func sources() throws -> [ShardSource] {
        try seed.data.sources.map { try ShardSource($0.shards, weight: $0.weight) }
    }

    /// One caption of each sample; those without are counted and said.
    private func drawnCaptions() throws -> [String?] {
        let (captions, faults) = try Assignment.captions(of: try sources(), seed.data.fields, seed: recipe.fine.seed)
        if faults.total > 0 { observer.note("without a caption, dealt out in turn: \(faults.summary)") }
        return captions
    }

    /// Clusters the seed run's captions in two steps.
    package func cluster() throws {
        guard recipe.split == .clusters else {
            throw Failure(.usage, recipe.file.path, "split is random: there is nothing to cluster")
        }
        guard !ExpertsFolder.stands(at: folder) else {
            throw Failure(
                .usage, folder, "is planned already: its experts belong to the clusters that stand there",
                remedy: "Choose another folder with --run")
        }
        try claim()
        let captions = try drawnCaptions().compactMap { $0 }
        guard !captions.isEmpty else {
            throw Failure(.badData, recipe.seedRun, "the seed run's data hold no captions to cluster")
        }
        var order = Array(captions.indices)
        var random = RandomStream(seed: recipe.fine.seed, purpose: "cluster sample")
        random.shuffle(&order)
        let sample = order.prefix(recipe.sample).sorted().map { captions[$0] }
        guard sample.count >= recipe.fine.clusters else {
            throw Failure(
                .badData, recipe.file.path,
                "clusters.fine is \(recipe.fine.clusters), the sample has \(sample.count) captions",
                remedy: "Lower clusters.fine or raise clusters.sample")
        }
        let embedder: any CaptionEmbedder =
            recipe.embedder.kind == .tfidf
            ? try HashedTFIDF(fitting: sample, width: recipe.embedder.width, seed: recipe.fine.seed)
            : try recipe.embedder.kind.open(recipe.embedder.path, on: device)
        let points = try embedder.embed(sample) { observer.progress("captions", $0, of: sample.count) }
        let start = Machine.now()
        let (clusters, fit) = try Clusters.fit(
            points, embedder: embedder.card, fine: recipe.fine, experts: recipe.experts, on: device)
        observer.note(
            "\(recipe.fine.clusters) fine clusters in \(fit.iterations) passes, \(formatDuration(Machine.now() - start)); sizes \(fit.sizes.min() ?? 0) to \(fit.sizes.max() ?? 0)"
        )
        try clusters.write(
            to: folder + "/clusters",
            Clusters.Settings(fit, recipe.fine, sample: sample.count, of: captions.count), embedder: embedder,
            summary: clusters.summary(sample, points, on: device))
        try observer.result("clusters: \(folder)/clusters/summary.md")
    }

    /// Assigns every sample to an expert and writes the experts' recipes.
    package func plan() throws {
        guard !ExpertsFolder.stands(at: folder) else {
            throw Failure(
                .usage, folder, "is planned already", remedy: "Choose another folder with --run, or remove this one")
        }
        let clustersPath = folder + "/clusters"
        if recipe.split == .clusters, !Files.exists(clustersPath) { try cluster() }
        try claim()
        let checkpoints = RunFolder.checkpoints(in: recipe.seedRun)
        let wanted = recipe.seedStep
        guard let checkpoint = wanted.map({ step in checkpoints.last { $0.step == step } }) ?? checkpoints.last else {
            throw Failure(
                .inputMissing, recipe.seedRun,
                wanted.map { "has no checkpoint of step \($0)" } ?? "has no checkpoint to continue from",
                remedy: "Train the seed: diptych train ... --until STEP")
        }
        let total = try TrainingSetup(seed).steps
        guard checkpoint.step < total else {
            throw Failure(
                .badData, checkpoint.path, "the seed run is at its end, step \(total): nothing is left for experts",
                remedy: "Stop the seed earlier (diptych train --until), or name an earlier checkpoint with seed_step")
        }
        let sources = try sources()
        let digest = SampleSelection.digest(of: sources)
        let assignment: Assignment
        switch recipe.split {
        case .random:
            let count = sources.reduce(0) { $0 + $1.count }
            assignment = Assignment(
                random: count, experts: recipe.experts, seed: recipe.fine.seed, samples: digest)
        case .clusters:
            let clusters = try Clusters(clustersPath)
            guard clusters.experts == recipe.experts else {
                throw Failure(
                    .usage, clustersPath, "has \(clusters.experts) experts, the recipe \(recipe.experts)",
                    remedy: "Cluster again: diptych experts cluster")
            }
            let captions = try drawnCaptions()
            assignment = try Assignment(
                captions, clusters, embedder: clusters.openEmbedder(on: device), samples: digest, on: device
            ) { observer.progress("assign", $0, of: captions.count) }
        }
        let plan = try ExpertsPlan(
            assignment, experts: recipe.experts, remaining: total - checkpoint.step, batch: seed.batch)
        try plan.write(
            recipe,
            ExpertsPlan.Seed(
                recipe: recipe.seedRun + "/recipe.yaml", checkpoint: checkpoint.path, total: total), assignment,
            to: folder)
        for expert in plan.sizes.indices {
            try observer.result("expert \(expert): \(plan.sizes[expert]) samples, \(plan.steps[expert]) steps")
        }
    }

    /// Trains the experts that are not trained yet, each from where it stopped. Collective: the ranks are split into groups
    /// that train an expert each, the longest first.
    ///
    /// - Parameters:
    ///   - only: this expert alone
    ///   - share: ranks of a group
    /// - Throws: `Failure(.usage)` for several ranks without a plan, or that do not make whole groups
    package func train(only: Int? = nil, over group: any ProcessGroup = Alone(), share: Int = 1) throws {
        try group.agreeing { try prepareTraining(over: group, share: share) }
        let experts = try ExpertsFolder(folder).experts
        if let only, !experts.contains(where: { $0.index == only }) {
            throw group.agreed(Failure(.usage, "--only \(only)", "the folder has experts \(experts.map(\.index))"))
        }
        let waiting = experts.filter { !$0.isTrained && (only ?? $0.index) == $0.index }
        let mine = group.size == 1 ? waiting : Self.deal(waiting, among: group.size / share)[group.rank / share]
        // Nobody begins before all have seen what is left to do.
        _ = try group.meet(0)
        let first = group.rank / share * share
        let own: any ProcessGroup =
            group.size == 1 ? group : SubGroup(Array(first..<first + share), of: group)
        var interruption: Failure?
        for expert in mine where interruption == nil { interruption = try train(expert, over: own) }
        guard group.size > 1 else {
            if let interruption { throw interruption }
            return try observer.result("experts: \(folder)")
        }
        guard try group.meet(interruption == nil ? 0 : 1).allSatisfy({ $0 == 0 }) else {
            throw group.agreed(
                Failure(
                    .interrupted, folder, "interrupted; the checkpoints of the experts in training are written",
                    remedy: "Go on with the same command"))
        }
        try observer.result("experts: \(folder)")
    }

    private func prepareTraining(over group: any ProcessGroup, share: Int) throws {
        guard group.size % share == 0 else {
            throw Failure(
                .usage, "--ranks-per-expert \(share)", "\(group.size) processes are not whole groups of \(share)")
        }
        guard ExpertsFolder.stands(at: folder) else {
            guard group.size == 1 else {
                throw Failure(
                    .usage, folder, "has no plan yet, which one process makes",
                    remedy: "Make it first, without mpirun: diptych experts plan")
            }
            return try plan()
        }
        guard group.isRoot else { return }
        // Router and evaluations may change at any time.
        try claim()
        try ExpertsFolder(folder).write(router: recipe.router)
    }

    /// Which experts each of some groups trains: the longest first, to whom has least to do.
    static func deal(_ experts: [ExpertsFolder.Expert], among groups: Int) -> [[ExpertsFolder.Expert]] {
        var dealt = [[ExpertsFolder.Expert]](repeating: [], count: groups)
        var steps = [Int](repeating: 0, count: groups)
        for expert in experts.sorted(by: { ($1.steps, $0.index) < ($0.steps, $1.index) }) {
            guard let group = steps.indices.min(by: { (steps[$0], $0) < (steps[$1], $1) }) else { break }
            dealt[group].append(expert)
            steps[group] += expert.steps
        }
        return dealt
    }

    /// - Returns: why it stopped before its end
    private func train(_ expert: ExpertsFolder.Expert, over group: any ProcessGroup) throws -> Failure? {
        let isBegun = Files.exists(expert.run + "/recipe.yaml")
        let recipe = try Recipe(expert.recipe)
        do {
            let trainer = try Trainer(
                recipe, run: RunPlace(expert.run, resume: isBegun), on: device, group: group,
                observer: observer.training(expert.index, batch: recipe.batch))
            try trainer.train()
        } catch let failure as Failure where failure.kind == .interrupted {
            return failure
        } catch let agreed as AgreedFailure {
            if agreed.failure.kind == .interrupted { return agreed.failure }
            // The other groups know nothing of it: one of this one ends them all.
            if group.isRoot { throw agreed.failure }
            throw agreed
        }
        return nil
    }
}
