import Records
import ArgumentParser
import Evaluation
import Experts
import Foundation
import Processes
import Images
import Support
import Weights

struct EvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Zero-shot classification and retrieval.",
        subcommands: [EvalZeroShot.self, EvalRetrieval.self, EvalCompare.self])
}

struct EvalOptions: ParsableArguments {
    @Option(help: "A model folder, or an experts folder.") var model: String
    @Option(help: "A task, such as Evals/tasks/cifar10.yaml.") var task: String
    @Option(help: "The images: shards, an ImageFolder, or a COCO captions JSON.") var data: String
    @Option(help: "The folder of the images of a COCO captions JSON.") var images: String?
    @Option(help: "Resize images after their conversion to RGB, or as they were opened.") var convert = ImageConversion
        .rgbFirst
    @Option(help: "Of a Karpathy file the splits to take, joined by +. Default: test.") var split: String?
    @OptionGroup var ensemble: EnsembleArguments
    @Option(help: "Write the result as JSON to this file.") var out: String?
    @Option(help: "Write every image's answer to this file, a JSON object a line.") var answers: String?
    @Option(help: "Write the images' features and the classifier or the captions' features (safetensors).")
    var features: String?
    @Flag(help: "Print the result as JSON on standard output.") var json = false
    @OptionGroup var machine: MachineOptions
    @OptionGroup var ranks: RankOptions

    func run(_ kind: any EvaluationTask.Type) throws {
        let task = try TaskFile.read(task)
        guard task.kind == kind.kind else {
            throw Failure(
                .usage, self.task, "is a \(task.kind) task",
                remedy: "Use eval \(task is ZeroShotRetrieval ? "retrieval" : "zeroshot")")
        }
        let group = try Ranks.join(patience: ranks.patience)
        let model = try Ensemble(model, ensemble.options, on: machine.device(group: group))
        let evaluator = try Evaluator(task: task, data: data, images: images, conversion: convert, split: split)
        (model.notes + evaluator.set.notes).forEach(say)
        guard let result = try evaluator.shown(model, over: group) else { return }
        if let out { try AtomicFile.write(result.record.json.text(indent: 2) + "\n", to: out) }
        if let features {
            let (images, texts, width) = result.features
            try Safetensors.write(
                [
                    FileTensor("image_features", images, shape: [images.count / width, width]),
                    FileTensor(
                        kind.textRows, texts,
                        shape: [texts.count / width, width]),
                ], to: features)
        }
        if let answers { try AtomicFile.write(result.answerLines, to: answers) }
        if json {
            try answer(result.record.json.text(indent: 2))
        } else {
            let record = result.record
            try answer("\(record.dataset): \(record.samples) samples, protocol \(record.protocolHash), 95 % intervals")
            for line in result.lines + (record.experts?.lines ?? []) { try answer(line) }
        }
    }
}

struct EvalCompare: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "The difference of two runs on the same images, with its interval.",
        discussion: """
            Reads what --answers wrote. Several files on each side, such as those of several seeds, are taken together.

            EXAMPLE
              diptych eval compare --base dense-0.jsonl --base dense-1.jsonl --other experts-0.jsonl --other experts-1.jsonl
            """)
    @Option(parsing: .singleValue, help: "Answers of the run to compare with.") var base: [String]
    @Option(parsing: .singleValue, help: "Answers of the other run.") var other: [String]
    @Flag(help: "Print JSON on standard output.") var json = false

    func execute() throws {
        let comparison = try PairedComparison(base, against: other)
        if json { return try answer(comparison.json.text(indent: 2)) }
        try answer("\(comparison.count) images, other - base, 95 % intervals")
        for value in comparison.values {
            let name = value.name.padding(toLength: max(26, value.name.count), withPad: " ", startingAt: 0)
            try answer(
                String(
                    format: "  \(name) %.4f - %.4f = %+.4f  [%+.4f, %+.4f]", value.other, value.base,
                    value.other - value.base, value.low, value.high)
                    + (value.runs.count > 1
                        ? "  runs " + value.runs.map { String(format: "%+.4f", $0) }.joined(separator: " ") : ""))
        }
    }
}

/// How an experts folder is run, wherever a model is named.
struct EnsembleArguments: ParsableArguments {
    @Option(help: "A tokenizer folder, when the model does not carry its own.") var tokenizer: String?
    @Option(help: "Experts: the router's form, paper or release, instead of the folder's.") var router: RouterForm.Name?
    @Option(help: "Experts: where the clusters' embedder stands now.") var embedder: String?
    @Option(help: "Experts: run only this many of a task.") var topExperts: Int?

    func validate() throws {
        if let topExperts, topExperts < 1 { throw ValidationError("--top-experts must be at least 1.") }
    }

    var options: EnsembleOptions {
        EnsembleOptions(
            tokenizer: tokenizer, form: router, embedder: embedder, top: topExperts)
    }
}

extension RouterForm.Name: ExpressibleByArgument {}

extension ImageConversion: ExpressibleByArgument {}

extension Evaluator {
    /// Runs with progress lines.
    ///
    /// - Returns: nil at all ranks but rank 0
    func shown(_ model: Ensemble, over group: any ProcessGroup, audit: Bool = false) throws -> EvaluationResult? {
        var bars: [String: ProgressLine] = [:]
        return try run(model, over: group, audit: audit) { what, done, total in
            let bar = bars[what] ?? ProgressLine(what, total: total)
            bars[what] = bar
            bar.update(done)
            if done == total { bar.finish() }
        }
    }
}

struct EvalZeroShot: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "zeroshot", abstract: "Classify images by their similarity to class prompts.",
        discussion: """
            EXAMPLES
              diptych eval zeroshot --model runs/scenes/model --task Evals/tasks/scenes.yaml --data scenes/classes
              diptych eval zeroshot --model M --task Evals/tasks/imagenet1k.yaml --data imagenet/val --out result.json
              mpirun -n 4 --bind-to none diptych eval zeroshot --model M --task Evals/tasks/imagenet1k.yaml --data imagenet/val
            """)
    @OptionGroup var options: EvalOptions
    func execute() throws { try options.run(ZeroShotClassification.self) }
}

struct EvalRetrieval: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "retrieval", abstract: "Find images by caption and captions by image: R@1, R@5, R@10.",
        discussion: """
            EXAMPLES
              diptych eval retrieval --model M --task Evals/tasks/flickr8k.yaml --data flickr8k-val-0000.tar
              diptych eval retrieval --model M --task Evals/tasks/coco5k.yaml --data captions_val2017.json --images val2017
            """)
    @OptionGroup var options: EvalOptions
    func execute() throws { try options.run(ZeroShotRetrieval.self) }
}
