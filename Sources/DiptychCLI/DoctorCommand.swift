import ArgumentParser
import Doctor
import Foundation
import Support
import Tokenization

struct DoctorCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check this program against golden values, stage by stage.",
        discussion: """
            EXAMPLES
              diptych doctor Tests/Goldens
              diptych doctor FIXTURES --only models/siglip
              diptych doctor FIXTURES --json
              diptych doctor --model runs/flickr8k/model --against flickr8k-hf

            Exits 0 when every case ran and passed, 1 when one is out of tolerance, 2 when some could not run.
            """)

    @Argument(help: "A folder of golden values.") var fixtures: String?
    @Option(help: "A model folder, with --against another: the two on the same inputs, stage by stage.") var model:
        String?
    @Option(help: "The model folder to compare with.") var against: String?
    @Option(parsing: .upToNextOption, help: "Run only cases whose name contains one of these.") var only: [String] = []
    @Option(parsing: .upToNextOption, help: "Leave out cases whose name contains one of these.") var except: [String] =
        []
    @Flag(help: "Print JSON on standard output.") var json = false
    @OptionGroup var machine: MachineOptions

    func validate() throws {
        guard (model == nil) == (against == nil), (fixtures == nil) == (model != nil) else {
            throw ValidationError("Give a folder of golden values, or --model A --against B.")
        }
    }

    func execute() throws {
        if let model, let against {
            let result = try ModelComparison(model, against: against, on: machine.device()).run()
            try report([result], about: model)
            return
        }
        let fixtures = fixtures ?? ""
        let doctor = try Doctor(folder: fixtures, device: machine.device(), clipVocabulary: installedVocabulary)
        var results: [CaseResult] = []
        try doctor.run(only: only, except: except) { result in
            results.append(result)
            if !json { try show(result) }
        }
        try report(results, about: fixtures, isShown: !json)
    }

    private func report(_ results: [CaseResult], about subject: String, isShown: Bool = false) throws {
        if !json, !isShown { try results.forEach(show) }
        let failed = results.filter(\.hasFailed)
        let incomplete = results.filter(\.isIncomplete)
        if json {
            try answer(
                JSON.object([
                    "cases": .array(results.map(describe)), "failed": .integer(failed.count),
                    "not_run": .integer(incomplete.count),
                ]).text(indent: 2))
        } else {
            try answer(
                "\n\(results.count) cases, \(failed.count) out of tolerance, \(incomplete.count) not run in full")
        }
        if let first = failed.first {
            throw Failure(
                .checkFailed, subject, "out of tolerance: \(failed.map(\.name).joined(separator: ", "))",
                remedy: "The first stage that diverges in \(first.name) is named above")
        }
        if !incomplete.isEmpty {
            throw Failure(
                .checkIncomplete, subject, "not run in full: \(incomplete.map(\.name).joined(separator: ", "))")
        }
    }

    private var installedVocabulary: String? {
        let path = cacheFolder + "/tokenizers/clip-bpe/bpe_simple_vocab_16e6.txt.gz"
        return Files.exists(path) ? path : nil
    }

    private func show(_ result: CaseResult) throws {
        try answer(result.name)
        var diverged = false
        for stage in result.stages {
            let name = stage.stage.padding(toLength: max(32, stage.stage.count), withPad: " ", startingAt: 0)
            switch stage.outcome {
            case .passed:
                try answer(String(format: "  pass  \(name) abs %.1e  rel %.1e", stage.absolute, stage.relative))
            case .failed(let cause):
                let mark = diverged ? "" : "  <- first to diverge"
                diverged = true
                try answer(String(format: "  FAIL  \(name) abs %.1e  rel %.1e", stage.absolute, stage.relative) + mark)
                try answer("        \(cause)")
            case .notRun(let reason): try answer("  none  \(name) not run: \(reason)")
            }
        }
    }

    private func describe(_ result: CaseResult) -> JSON {
        let stages: [JSON] = result.stages.map { stage in
            var members: [String: JSON] = [
                "stage": .string(stage.stage), "max_abs": .number(stage.absolute), "max_rel": .number(stage.relative),
            ]
            switch stage.outcome {
            case .passed: members["outcome"] = "passed"
            case .failed(let cause): (members["outcome"], members["cause"]) = ("failed", .string(cause))
            case .notRun(let reason): (members["outcome"], members["cause"]) = ("not run", .string(reason))
            }
            return .object(members)
        }
        return ["case": .string(result.name), "stages": .array(stages)]
    }
}
