import ArgumentParser
import Experts
import Foundation
import Processes
import Mixtures
import Support
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

    func job(_ group: any ProcessGroup = Alone()) throws -> MixtureJob {
        let name = ((recipe as NSString).lastPathComponent as NSString).deletingPathExtension
        return try MixtureJob(
            ExpertsRecipe(recipe, overrides: set), folder: run ?? "runs/experts-" + name,
            on: machine.device(group: group),
            observer: MixtureProgress())
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

struct ExpertsTrain: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train all experts; goes on where it was stopped.",
        discussion: """
            Clusters and plans first when that has not been done. Under mpirun, with a plan that stands on a disk all
            machines share, each group of processes trains an expert of its own, the longest first.

            EXAMPLES
              diptych experts train Recipes/experts/flickr8k.yaml
              diptych experts train Recipes/experts/flickr8k.yaml --only 2
              mpirun -n 4 --bind-to none diptych experts train Recipes/experts/flickr8k.yaml --ranks-per-expert 2
            """)
    @OptionGroup var options: ExpertsOptions
    @Option(help: "Train this expert alone.") var only: Int?
    @Option(help: "Under mpirun: processes that train one expert together.") var ranksPerExpert = 1
    @OptionGroup var ranks: RankOptions

    func validate() throws {
        if ranksPerExpert < 1 { throw ValidationError("--ranks-per-expert must be at least 1.") }
    }

    func execute() throws {
        let group = try Ranks.join(patience: ranks.patience)
        let job = try options.job(group)
        Interruption.watch()
        try job.train(only: only, over: group, share: ranksPerExpert)
    }
}

/// A job of a mixture on a terminal: results on standard output, the rest on standard error.
private final class MixtureProgress: MixtureObserver {
    private var line: (title: String, progress: ProgressLine)?

    func note(_ text: String) { say(text) }
    func result(_ text: String) throws { try answer(text) }

    func progress(_ title: String, _ done: Int, of total: Int) {
        if line?.title != title { line = (title, ProgressLine(title, total: total)) }
        line?.progress.update(done)
        guard done == total else { return }
        line?.progress.finish()
        line = nil
    }

    func training(_ expert: Int, batch: Int) -> any RunObserver {
        TrainingProgress("expert \(expert)", batch: batch, endsItself: true)
    }
}
