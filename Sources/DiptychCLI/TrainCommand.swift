import Processes
import Objectives
import Layers
import ArgumentParser
import Foundation
import Report
import Support
import Training

struct TrainCommand: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Pretrain a dual encoder by a recipe.",
        discussion: """
            EXAMPLES
              diptych train Recipes/scenes.yaml
              diptych train Recipes/flickr8k.yaml --set data.train=/data/flickr8k --set objective=sigmoid --run runs/siglip
              diptych train Recipes/scenes.yaml --resume
              diptych train Recipes/scenes.yaml --resume --allow-changed data
              diptych train Recipes/scenes.yaml --dry-run
              diptych train Recipes/scenes.yaml --run runs/seed --until 900    # a seed for experts
              mpirun -n 4 --bind-to none diptych train Recipes/scenes.yaml --set slices=4

            Ctrl-C writes a checkpoint and exits with 75; --resume continues as if it had never stopped.
            """)

    @Argument(help: "A YAML file, such as those under Recipes/.") var recipe: String?
    @Flag(help: "Show every key of a recipe, and exit.") var helpRecipe = false
    @Flag(help: "With --help-recipe: as docs/recipe.md.") var markdown = false
    @Option(help: "The run folder. Default: runs/<recipe name>.") var run: String?
    @Option(parsing: .singleValue, help: "Override a key of the recipe: key=value, keys joined by dots.") var set:
        [String] = []
    @Flag(help: "Continue the run in its folder from its last checkpoint.") var resume = false
    @Option(
        parsing: .singleValue,
        help: "With --resume, go on although these inputs changed: data, validation, tokenizer, model or tasks.")
    var allowChanged: [String] = []
    @Option(help: "Stop after this step's checkpoint; --resume goes on, experts may continue from it.") var until: Int?
    @Flag(help: "Say what would be done and write the first batch as a contact sheet.") var dryRun = false
    @OptionGroup var machine: MachineOptions
    @OptionGroup var ranks: RankOptions

    func validate() throws {
        if recipe == nil, !helpRecipe { throw ValidationError("Missing expected argument '<recipe>'.") }
        if let until, until < 1 { throw ValidationError("--until must be at least 1.") }
        if !allowChanged.isEmpty, !resume { throw ValidationError("--allow-changed goes with --resume.") }
    }

    func execute() throws {
        guard let recipe, !helpRecipe else {
            return try answer(markdown ? String(RecipeHelp.markdown.dropLast()) : RecipeHelp.text)
        }
        let parsed = try Recipe(recipe, overrides: set)
        let folder = run ?? Self.defaultRun(recipe)
        let group = try Ranks.join(patience: ranks.patience)
        if dryRun {
            guard group.size == 1 else { throw group.agreed(Failure(.usage, "--dry-run", "runs in one process")) }
            return try DryRun(parsed, device: machine.host()).show(
                sheet: folder + ".first-batch.html")
        }
        let progress = TrainingProgress("train", batch: parsed.batch)
        let trainer = try Trainer(
            parsed, run: RunPlace(folder, resume: resume, allowChanged: allowChanged),
            on: machine.device(parsed.precision, group: group),
            group: group,
            observer: progress)
        let ranks = group.size > 1 ? ", \(group.size) processes" : ""
        say(
            "\(folder): \(trainer.model.parameterCount) parameters, \(trainer.steps) steps of \(parsed.batch) pairs, \(parsed.objective.rawValue) loss\(ranks)"
        )
        Interruption.watch()
        try trainer.train(until: until)
        guard group.isRoot else { return }
        progress.finish()
        if let until, until < trainer.steps {
            return try answer("checkpoint: \(folder)/checkpoints/step-\(until)")
        }
        let report = try RunReport(folder).write()
        try answer("model:  \(folder)/model")
        try answer("report: \(report)")
    }

    /// runs/<recipe name>
    static func defaultRun(_ recipe: String) -> String {
        "runs/" + ((recipe as NSString).lastPathComponent as NSString).deletingPathExtension
    }
}
