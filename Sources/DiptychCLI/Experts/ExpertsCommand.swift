import ArgumentParser
import Experts
import Foundation
import Shards
import Support
import TensorCPU
import Training

struct ExpertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "experts", abstract: "Mixture of data experts: cluster, train, route, evaluate.",
        discussion: """
            An expert is an ordinary training run that continues a dense run, the seed, on the captions of one cluster
            (Ma et al. 2024, arXiv:2404.16030). A recipe names the seed and says how captions are clustered; every
            command below writes into one folder, which `eval` and `embed` accept wherever they take a model.

            EXAMPLES
              diptych train Recipes/flickr8k.yaml --run runs/seed --until 322
              diptych experts train Recipes/experts/flickr8k.yaml --set seed_run=runs/seed
              diptych experts eval runs/experts-flickr8k --task Evals/tasks/flickr8k.yaml --data flickr8k-val-0000.tar
            """,
        subcommands: [
            ExpertsCluster.self, ExpertsPlanCommand.self, ExpertsTrain.self, ExpertsRoute.self, ExpertsEval.self,
            ExpertsMerge.self, ExpertsRepack.self,
        ])
}

/// What cluster, plan and train share.
struct ExpertsOptions: ParsableArguments {
    @Argument(help: "A YAML file, such as those under Recipes/experts.") var recipe: String
    @Option(help: "The experts folder. Default: runs/experts-<recipe name>.") var run: String?
    @Option(parsing: .singleValue, help: "Override a key of the recipe: key=value, keys joined by dots.") var set:
        [String] = []
    @OptionGroup var machine: MachineOptions

    func job() throws -> ExpertsJob {
        let name = ((recipe as NSString).lastPathComponent as NSString).deletingPathExtension
        return try ExpertsJob(
            ExpertsRecipe(recipe, overrides: set), folder: run ?? "runs/experts-" + name, device: machine.device())
    }
}

/// The steps from a recipe to trained experts, each of which leaves its result in the folder.
struct ExpertsJob {
    let recipe: ExpertsRecipe
    let folder: String
    let device: CPUDevice
    private let seed: Recipe

    init(_ recipe: ExpertsRecipe, folder: String, device: CPUDevice) throws {
        self.recipe = recipe
        self.folder = folder
        self.device = device
        let dense = recipe.seedRun + "/recipe.yaml"
        guard Files.exists(dense) else {
            throw Failure(
                .inputMissing, recipe.seedRun, "is no run folder: it has no recipe.yaml",
                remedy: "seed_run names a dense run, stopped by diptych train --until")
        }
        seed = try Recipe(dense)
        guard seed.continuation == nil, seed.selection == nil else {
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
        try seed.sources.map { try ShardSource($0.shards, weight: $0.weight) }
    }

    /// One caption of each sample; those without are counted and said.
    private func drawnCaptions() throws -> [String?] {
        let (captions, faults) = try Assignment.captions(of: try sources(), seed.fields, seed: recipe.fine.seed)
        if faults.total > 0 { say("without a caption, dealt out in turn: \(faults.summary)") }
        return captions
    }

    func cluster() throws {
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
        let progress = ProgressLine("captions", total: sample.count)
        let points = try embedder.embed(sample) { progress.update($0) }
        progress.finish()
        let start = Machine.now()
        let (clusters, fit) = try Clusters.fit(
            points, embedder: embedder.card, fine: recipe.fine, experts: recipe.experts, on: device)
        say(
            "\(recipe.fine.clusters) fine clusters in \(fit.iterations) passes, \(formatDuration(Machine.now() - start)); sizes \(fit.sizes.min()!) to \(fit.sizes.max()!)"
        )
        try clusters.write(
            to: folder + "/clusters",
            Clusters.Settings(fit, recipe.fine, sample: sample.count, of: captions.count), embedder: embedder,
            summary: clusters.summary(sample, points, on: device))
        try answer("clusters: \(folder)/clusters/summary.md")
    }

    func plan() throws {
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
            let progress = ProgressLine("assign", total: captions.count)
            assignment = try Assignment(
                captions, clusters, embedder: clusters.openEmbedder(on: device), samples: digest, on: device
            ) { progress.update($0) }
            progress.finish()
        }
        let plan = try ExpertsPlan(
            assignment, experts: recipe.experts, remaining: total - checkpoint.step, batch: seed.batch)
        try plan.write(
            recipe,
            ExpertsPlan.Seed(
                recipe: recipe.seedRun + "/recipe.yaml", checkpoint: checkpoint.path, total: total), assignment,
            to: folder)
        for expert in plan.sizes.indices {
            try answer("expert \(expert): \(plan.sizes[expert]) samples, \(plan.steps[expert]) steps")
        }
    }

    /// Trains the experts that are not trained yet, each from where it stopped.
    func train(only: Int?) throws {
        if ExpertsFolder.stands(at: folder) {
            // Router and evaluations may change at any time.
            try claim()
            try ExpertsFolder(folder).write(router: recipe.router)
        } else {
            try plan()
        }
        let experts = try ExpertsFolder(folder).experts
        if let only, !experts.contains(where: { $0.index == only }) {
            throw Failure(.usage, "--only \(only)", "the folder has experts \(experts.map(\.index))")
        }
        for expert in experts where !expert.isTrained && (only ?? expert.index) == expert.index {
            let isBegun = Files.exists(expert.run + "/recipe.yaml")
            let recipe = try Recipe(expert.recipe)
            let progress = TrainingProgress("expert \(expert.index)", batch: recipe.batch)
            let trainer = try Trainer(recipe, run: expert.run, resume: isBegun, on: device, observer: progress)
            Interruption.watch()
            try trainer.train()
            progress.finish()
        }
        try answer("experts: \(folder)")
    }
}

struct ExpertsCluster: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Cluster the seed run's captions in two steps.",
        discussion: """
            Writes FOLDER/clusters: clusters.safetensors and clusters.yaml, which routers read, and summary.md with the
            size, words and nearest captions of every cluster.

            EXAMPLE
              diptych experts cluster Recipes/experts/flickr8k.yaml --set clusters.embedder.path=models/minilm
            """)
    @OptionGroup var options: ExpertsOptions
    func execute() throws { try options.job().cluster() }
}

struct ExpertsPlanCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Assign every sample to an expert and write the experts' recipes.",
        discussion: """
            Each expert's recipe is an ordinary one: diptych train FOLDER/expert-2.yaml --run FOLDER/expert-2 trains it
            alone, on any machine that has the data.

            EXAMPLE
              diptych experts plan Recipes/experts/flickr8k.yaml
            """)
    @OptionGroup var options: ExpertsOptions
    func execute() throws { try options.job().plan() }
}

struct ExpertsTrain: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train all experts; goes on where it was stopped.",
        discussion: """
            Clusters and plans first when that has not been done.

            EXAMPLES
              diptych experts train Recipes/experts/flickr8k.yaml
              diptych experts train Recipes/experts/flickr8k.yaml --only 2
            """)
    @OptionGroup var options: ExpertsOptions
    @Option(help: "Train this expert alone.") var only: Int?
    func execute() throws { try options.job().train(only: only) }
}
