import Foundation
import Support
package import TensorCore

/// What one stage of one case came to.
package struct StageResult: Sendable {
    package enum Outcome: Sendable, Equatable {
        case passed
        case failed(cause: String)
        case notRun(reason: String)
    }

    package let stage: String
    package let outcome: Outcome
    /// Largest absolute difference.
    package let absolute: Double
    /// Largest absolute difference over the largest expected value.
    package let relative: Double

    package init(_ stage: String, _ outcome: Outcome, absolute: Double = 0, relative: Double = 0) {
        self.stage = stage
        self.outcome = outcome
        self.absolute = absolute
        self.relative = relative
    }
}

package struct CaseResult: Sendable {
    package let name: String
    package let stages: [StageResult]

    package var hasFailed: Bool {
        stages.contains { if case .failed = $0.outcome { true } else { false } }
    }
    package var isIncomplete: Bool {
        stages.contains { if case .notRun = $0.outcome { true } else { false } }
    }
}

/// Runs a folder of golden values stage by stage against this program.
package struct Doctor: Sendable {
    let folder: String
    let device: any Device
    let clipVocabulary: String?

    /// - Parameters:
    ///   - folder: models/, losses/, optimizer/, ... as docs/goldens.md describes
    ///   - clipVocabulary: the CLIP byte-pair vocabulary, for the tokenizer cases
    package init(folder: String, device: any Device, clipVocabulary: String?) {
        self.folder = folder
        self.device = device
        self.clipVocabulary = clipVocabulary
    }

    /// Every case of the folder with what runs it; `only` and `except` match by substring.
    package func run(
        only: [String] = [], except: [String] = [], each: (CaseResult) throws -> Void
    ) throws {
        guard Files.exists(folder) else {
            throw Failure(.inputMissing, folder, "no such folder")
        }
        var found = false
        for (name, body) in try cases() {
            guard only.isEmpty || only.contains(where: { name.contains($0) }) else { continue }
            guard !except.contains(where: { name.contains($0) }) else { continue }
            found = true
            let stages: [StageResult]
            do { stages = try body() } catch let failure as Failure {
                stages = [StageResult("reading the case", .failed(cause: failure.description))]
            }
            try each(CaseResult(name: name, stages: stages))
        }
        guard found else {
            throw Failure(
                .inputMissing, folder, "holds no cases",
                remedy: "A fixture folder holds models/, losses/, optimizer/ ...")
        }
    }

    private func cases() throws -> [(String, () throws -> [StageResult])] {
        var cases: [(String, () throws -> [StageResult])] = []
        func add(_ name: String, if file: String, _ body: @escaping () throws -> [StageResult]) {
            if Files.exists(path(file)) { cases.append((name, body)) }
        }
        for model in folders(in: "models") { cases.append(("models/" + model, { try modelCase(model) })) }
        add("losses/single", if: "losses/single.json", lossCases)
        add("losses/three_ranks", if: "losses/three_ranks.json", rankLossCases)
        add("optimizer/adamw", if: "optimizer/adamw.json", optimizerCases)
        add("schedule", if: "schedule/schedules.json", scheduleCases)
        add("train_loop", if: "train_loop/config.json", trainLoopCases)
        add("tokenizers", if: "tokenizers/cases.json", tokenizerCases)
        add("preprocess", if: "preprocess/cases.json", preprocessCases)
        add("metrics/retrieval", if: "metrics/retrieval.json", retrievalCases)
        add("metrics/classification", if: "metrics/classification.json", classificationCases)
        add("sentence", if: "sentence/cases.json", sentenceCases)
        add("pos_embed", if: "pos_embed/cases.json", positionCases)
        for name in try Files.names(in: folder) where !name.hasPrefix(".") && Files.isFolder(path(name)) {
            guard !Self.known.contains(name) else { continue }
            cases.append((name, { [StageResult(name, .notRun(reason: "this version does not know the folder"))] }))
        }
        return cases
    }

    private static let known = [
        "models", "losses", "optimizer", "schedule", "train_loop", "tokenizers", "preprocess", "metrics", "pos_embed",
        "sentence",
    ]

    func path(_ name: String) -> String { folder + "/" + name }

    private func folders(in name: String) -> [String] {
        let items = (try? Files.names(in: path(name))) ?? []
        return items.filter { Files.exists(path("\(name)/\($0)/config.json")) }.sorted()
    }
}

/// Passes when every element meets the absolute limit, or the largest difference is within the relative
/// limit times the largest expected value.
struct Tolerance {
    let absolute: Double
    let relative: Double
    /// Share of elements that must also meet a sharper absolute limit.
    var most: (share: Double, absolute: Double)?
}

/// Compares one stage, array by array, keeping the worst.
struct Comparison {
    let stage: String
    let tolerance: Tolerance
    let cause: String
    private var absolute = 0.0
    private var relative = 0.0
    private var failures: [String] = []
    private var count = 0
    private var sharp = 0

    init(_ stage: String, _ tolerance: Tolerance, cause: String = "") {
        self.stage = stage
        self.tolerance = tolerance
        self.cause = cause
    }

    mutating func compare(_ name: String, _ expected: [Float], _ actual: [Float]) {
        compare(name, expected.map(Double.init), actual.map(Double.init))
    }

    mutating func compare(_ name: String, _ expected: [Double], _ actual: [Double]) {
        guard expected.count == actual.count else {
            failures.append("\(name) has \(actual.count) values, expected \(expected.count)")
            return
        }
        var worst = 0.0
        var largest = 0.0
        for (a, b) in zip(expected, actual) {
            let difference = a == b ? 0 : abs(a - b)
            worst = difference.isFinite ? max(worst, difference) : .infinity
            largest = max(largest, abs(a))
            if difference <= tolerance.most?.absolute ?? .infinity { sharp += 1 }
        }
        count += expected.count
        absolute = max(absolute, worst)
        if largest > 0 { relative = max(relative, worst / largest) }
        if worst > tolerance.absolute, worst > tolerance.relative * largest {
            failures.append(String(format: "\(name): off by %.3g, largest value %.3g", worst, largest))
        }
    }

    var isEmpty: Bool { count == 0 && failures.isEmpty }

    var result: StageResult {
        var failures = failures
        if let most = tolerance.most, count > 0, Double(sharp) < most.share * Double(count) {
            failures.append("only \(sharp) of \(count) elements within \(most.absolute)")
        }
        if count == 0, failures.isEmpty { failures.append("nothing to compare") }
        let more = failures.count > 1 ? " and \(failures.count - 1) more" : ""
        let hint = cause.isEmpty ? "" : "; usual cause: \(cause)"
        let outcome: StageResult.Outcome = failures.isEmpty ? .passed : .failed(cause: failures[0] + more + hint)
        return StageResult(stage, outcome, absolute: absolute, relative: relative)
    }
}
