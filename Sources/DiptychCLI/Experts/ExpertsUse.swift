import Images
import Records
import Models
import ArgumentParser
import Encoders
import Evaluation
import Experts
import Foundation
import Processes
import Report
import Shards
import Support
import TensorCPU
import Training

struct ExpertsRoute: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "route", abstract: "Show the weights a task's words give to the experts.",
        discussion: """
            Class names through their templates, or a file of texts, as one task; with --each every text is its own.

            EXAMPLES
              diptych experts route runs/experts --task Evals/tasks/cifar10.yaml
              diptych experts route runs/experts --texts queries.txt --each --router release
            """)
    @Argument(help: "An experts folder.") var folder: String
    @Option(help: "A classification task.") var task: String?
    @Option(help: "A file with a text a line.") var texts: String?
    @Flag(help: "Every text a task of its own.") var each = false
    @Option(help: "The form, paper or release. Default: the folder's.") var router: RouterForm.Name?
    @Option(help: "Where the clusters' embedder stands now.") var embedder: String?
    @Flag(help: "Print JSON on standard output.") var json = false
    @OptionGroup var machine: MachineOptions

    func validate() throws {
        if (task == nil) == (texts == nil) { throw ValidationError("Give --task or --texts.") }
    }

    func execute() throws {
        let experts = try ExpertsFolder(folder)
        guard let router = try experts.router(router, embedder: embedder, on: machine.device()) else {
            throw Failure(.usage, folder, "its experts own random samples: they all count the same")
        }
        let names: [String]
        let groups: [[String]]
        if let task {
            guard let found = try TaskFile.read(task) as? ZeroShotClassification else {
                throw Failure(.usage, task, "is no classification task", remedy: "Give its captions with --texts")
            }
            (names, groups) = (found.classes.names, found.prompts)
        } else {
            names = try TextLines.read(texts ?? "").filter { !$0.isEmpty }
            groups = names.map { [$0] }
        }
        guard !names.isEmpty else { throw Failure(.badData, task ?? texts ?? "", "holds no texts to route by") }
        let found = try router.routes(groups)
        let routes = each ? found.each : [found.task]
        if json {
            return try answer(
                JSON.array(routes.enumerated().map { self.json($1, each ? [names[$0]] : names) }).text(indent: 2))
        }
        func row(_ weights: [Double]) -> String { weights.map { String(format: "%.4f", $0) }.joined(separator: "  ") }
        for (index, route) in routes.enumerated() {
            let title = each ? names[index] : "\(names.count) texts"
            try answer(
                row(route.weights)
                    + String(format: "  entropy %.4f, largest possible %.4f  ", route.entropy, route.bound) + title)
            guard !each else { continue }
            for (name, text) in zip(names, route.texts) {
                try answer(String(format: "  expert %d  %.4f  ", text.expert, text.affinity) + name)
            }
        }
    }

    private func json(_ route: Route, _ names: [String]) -> JSON {
        [
            "weights": .array(route.weights.map { .number($0) }), "entropy": .number(route.entropy),
            "largest_possible_weight": .number(route.bound),
            "texts": .array(
                zip(names, route.texts).map {
                    ["text": .string($0), "expert": .integer($1.expert), "affinity": .number($1.affinity)]
                }),
        ]
    }
}

struct ExpertsEval: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Evaluate the ensemble and audit its router.",
        discussion: """
            Beside the ensemble's figures: weights by class and expert and their entropy, each expert alone, all alike,
            the oracle choice and the router's regret. Writes FOLDER/evals/TASK.json and FOLDER/report.html.

            EXAMPLES
              diptych experts eval runs/experts                            # the tasks its recipe names
              diptych experts eval runs/experts --task Evals/tasks/cifar10.yaml --data cifar10/test
            """)
    @Argument(help: "An experts folder.") var folder: String
    @Option(help: "A task, such as Evals/tasks/cifar10.yaml.") var task: String?
    @Option(help: "The images: shards, an ImageFolder, or a COCO captions JSON.") var data: String?
    @Option(help: "The folder of the images of a COCO captions JSON.") var images: String?
    @OptionGroup var ensemble: EnsembleArguments
    @OptionGroup var machine: MachineOptions
    @OptionGroup var ranks: RankOptions

    func validate() throws {
        if (task == nil) != (data == nil) { throw ValidationError("--task and --data go together.") }
    }

    func execute() throws {
        let group = try Ranks.join(patience: ranks.patience)
        guard ExpertsFolder.stands(at: folder) else {
            throw Failure(.inputMissing, folder, "is no experts folder: it has no experts.yaml")
        }
        let tasks: [(task: String, data: String, images: String?)] =
            try task.map { [(task: $0, data: data ?? "", images: images)] }
            ?? ExpertsRecipe(folder + "/recipe.yaml").evaluations.map { ($0.task, $0.data, $0.images) }
        guard !tasks.isEmpty else {
            throw Failure(.usage, folder, "its recipe names no evaluations", remedy: "Give --task and --data")
        }
        let evaluators = try tasks.map {
            try Evaluator(task: TaskFile.read($0.task), data: $0.data, images: $0.images)
        }
        let models = try Ensemble(folder, ensemble.options, on: machine.device(group: group))
        (models.notes + evaluators.flatMap(\.set.notes)).forEach(say)
        if group.isRoot { try Files.makeFolder(folder + "/evals") }
        var names: [String: Int] = [:]
        for evaluator in evaluators {
            guard let result = try evaluator.shown(models, over: group, audit: true) else { continue }
            // The same task on several sets is numbered.
            let record = result.record
            let turn = names[record.dataset, default: 0] + 1
            names[record.dataset] = turn
            let path = "\(folder)/evals/\(record.dataset)" + (turn > 1 ? "-\(turn)" : "")
            try AtomicFile.write(record.json.text(indent: 2) + "\n", to: path + ".json")
            try AtomicFile.write(result.answerLines, to: path + ".answers.jsonl")
            try answer("\(record.dataset): \(record.samples) samples, protocol \(record.protocolHash), 95 % intervals")
            for line in result.lines + (record.experts?.lines ?? []) { try answer(line) }
        }
        if group.isRoot { try answer("report: \(try ExpertsReport(folder).write())") }
    }
}

struct ExpertsMerge: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge", abstract: "Average the experts' weights into one model folder, a start for fine-tuning.",
        discussion: """
            EXAMPLE
              diptych experts merge runs/experts --out models/merged
            """)
    @Argument(help: "An experts folder.") var folder: String
    @Option(help: "The model folder to make; it must not exist.") var out: String

    func execute() throws {
        let experts = try Ensemble(folder, isRouted: false, on: CPUDevice()).members
        guard !Files.exists(out) else {
            throw Failure(.usage, out, "exists already", remedy: "Give --out a new name")
        }
        try AtomicFile.writeFolder(out) { target in
            try ModelFolder.write(
                DualEncoder.average(experts.map(\.encoder)), preprocess: experts[0].preprocess.json, to: target)
            try copyTokenizer(from: experts[0].name, to: target)
        }
        try answer(out)
    }
}

struct ExpertsRepack: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "repack", abstract: "Write the shards of one expert, to be carried to another machine.",
        discussion: """
            Each shard keeps its name, after a number, and the order of its samples; those of other experts are left out, but for the
            recipe's share of them. To look at or to train elsewhere: training itself reads the original shards.

            EXAMPLE
              diptych experts repack runs/experts --expert 2 --out shards-2
            """)
    @Argument(help: "An experts folder.") var folder: String
    @Option(help: "The expert.") var expert: Int
    @Option(help: "The folder of the new shards; it must not exist.") var out: String

    func execute() throws {
        guard let own = try ExpertsFolder(folder).experts.first(where: { $0.index == expert }) else {
            throw Failure(.usage, "--expert \(expert)", "\(folder) has no such expert")
        }
        guard !Files.exists(out) else {
            throw Failure(.usage, out, "exists already", remedy: "Give --out a new name")
        }
        let setup = try TrainingSetup(Recipe(own.recipe))
        var written = 0
        try AtomicFile.writeFolder(out) { target in
            for (number, shard) in setup.order.sources.flatMap(\.shards).enumerated() {
                let kept = try setup.order.keptSamples(of: number)
                guard !kept.isEmpty else { continue }
                written += kept.count
                try shard.repack(kept, to: "\(target)/\(String(format: "%05d", number))-\(shard.name).tar")
            }
        }
        try answer("\(out): \(written) samples")
    }
}
