import ArgumentParser
import Foundation
import Layers
import Report
import Support
import Training

struct TrainCommand: DiptychCommand {
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

            Ctrl-C writes a checkpoint and exits with 75; --resume continues as if it had never stopped.
            """)

    @Argument(help: "A YAML file, such as those under Recipes/.") var recipe: String
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

    func validate() throws {
        if let until, until < 1 { throw ValidationError("--until must be at least 1.") }
        if !allowChanged.isEmpty, !resume { throw ValidationError("--allow-changed goes with --resume.") }
    }

    func execute() throws {
        let parsed = try Recipe(recipe, overrides: set)
        let name = ((recipe as NSString).lastPathComponent as NSString).deletingPathExtension
        let folder = run ?? "runs/" + name
        if dryRun { return try DryRun(parsed, device: machine.device()).show(sheet: folder + ".first-batch.html") }
        let trainer = try Trainer(
            parsed, run: folder, resume: resume, allowChanged: allowChanged, on: machine.device())
        say(
            "\(folder): \(trainer.model.parameterCount) parameters, \(trainer.steps) steps of \(parsed.batch) pairs, \(parsed.objective.rawValue) loss"
        )
        try trainer.run(title: "train", until: until)
        if let until, until < trainer.steps {
            return try answer("checkpoint: \(folder)/checkpoints/step-\(until)")
        }
        let report = try RunReport(folder).write()
        try answer("model:  \(folder)/model")
        try answer("report: \(report)")
    }
}

extension Trainer {
    /// Trains with a progress line; Ctrl-C ends it after a checkpoint.
    func run(title: String, until: Int? = nil) throws {
        Interruption.watch()
        let progress = ProgressLine(title, total: steps)
        var pace = 0.0
        try train(until: until) { event in
            // The pace is averaged over the last steps or so, the first ones left behind.
            pace = pace == 0 ? event.pairsPerSecond : 0.9 * pace + 0.1 * event.pairsPerSecond
            let left = Double((event.steps - event.step) * recipe.batch) / pace
            progress.update(
                event.step, detail: String(format: "loss %.4f  %.1f pairs/s", event.loss, pace), remaining: left)
        }
        progress.finish()
    }
}
