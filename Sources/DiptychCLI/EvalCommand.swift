import ArgumentParser
import Evaluation
import Foundation
import Support

struct EvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Zero-shot classification and retrieval.",
        subcommands: [EvalZeroShot.self, EvalRetrieval.self])
}

struct EvalOptions: ParsableArguments {
    @Option(help: "A model folder.") var model: String
    @Option(help: "A task, such as Evals/tasks/cifar10.yaml.") var task: String
    @Option(help: "The images: shards, an ImageFolder, or a COCO captions JSON.") var data: String
    @Option(help: "The folder of the images of a COCO captions JSON.") var images: String?
    @Option(help: "A tokenizer folder, when the model does not carry its own.") var tokenizer: String?
    @Option(help: "Write the result as JSON to this file.") var out: String?
    @Flag(help: "Print the result as JSON on standard output.") var json = false
    @OptionGroup var machine: MachineOptions

    func run(_ kind: EvaluationTask.Kind) throws {
        let task = try EvaluationTask(task)
        guard task.kind == kind else {
            throw Failure(
                .usage, self.task, "is a \(task.kind.rawValue) task",
                remedy: "Use eval \(task.kind == .retrieval ? "retrieval" : "zeroshot")")
        }
        let model = try LoadedModel(model, tokenizer: tokenizer, on: machine.device())
        let evaluator = try Evaluator(task: task, data: data, images: images)
        var bars: [String: ProgressLine] = [:]
        let result = try evaluator.run(model) { what, done, total in
            let bar = bars[what] ?? ProgressLine(what, total: total)
            bars[what] = bar
            bar.update(done)
            if done == total { bar.finish() }
        }
        if let out { try AtomicFile.write(result.json.text(indent: 2) + "\n", to: out) }
        if json {
            print(result.json.text(indent: 2))
        } else {
            print("\(result.dataset): \(result.samples) samples, protocol \(result.protocolHash), 95 % intervals")
            for line in result.lines { print(line) }
        }
    }
}

struct EvalZeroShot: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "zeroshot", abstract: "Classify images by their similarity to class prompts.",
        discussion: """
            EXAMPLES
              diptych eval zeroshot --model runs/scenes/model --task Evals/tasks/scenes.yaml --data scenes/classes
              diptych eval zeroshot --model M --task Evals/tasks/imagenet1k.yaml --data imagenet/val --out result.json
            """)
    @OptionGroup var options: EvalOptions
    func execute() throws { try options.run(.classification) }
}

struct EvalRetrieval: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "retrieval", abstract: "Find images by caption and captions by image: R@1, R@5, R@10.",
        discussion: """
            EXAMPLES
              diptych eval retrieval --model M --task Evals/tasks/flickr8k.yaml --data flickr8k-val-0000.tar
              diptych eval retrieval --model M --task Evals/tasks/coco5k.yaml --data captions_val2017.json --images val2017
            """)
    @OptionGroup var options: EvalOptions
    func execute() throws { try options.run(.retrieval) }
}
