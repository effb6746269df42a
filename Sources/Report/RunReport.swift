import Foundation
import Records
import Support

/// One self-contained page about a run, made from what stands in its folder.
package struct RunReport {
    private let folder: String
    private let steps: [StepRecord]
    private let validation: [ValidationRecord]
    private let results: [(name: String, record: EvaluationRecord)]
    private let recipe: String

    /// - Throws: `Failure(.inputMissing)` when the folder holds no run.
    package init(_ folder: String) throws {
        self.folder = folder
        let metrics = folder + "/metrics.jsonl"
        guard Files.exists(metrics) else {
            throw Failure(.inputMissing, folder, "is no run folder: it has no metrics.jsonl")
        }
        // A run that was killed may have left half a line.
        let lines = try TextLines.bytes(of: readFile(metrics)).compactMap {
            try? JSON(parsing: Data($0), path: metrics)
        }
        steps = lines.compactMap(StepRecord.init)
        validation = lines.compactMap(ValidationRecord.init)
        recipe = (try? String(decoding: readFile(folder + "/recipe.yaml"), as: UTF8.self)) ?? ""
        let evals = ((try? Files.names(in: folder + "/evals")) ?? []).sorted()
        results = try evals.filter {
            $0.hasSuffix(".json") && !$0.hasSuffix(".examples.json") && !$0.contains("-step-")
        }.map { name in
            let path = folder + "/evals/" + name
            guard let record = EvaluationRecord(try JSON(file: path)) else {
                throw Failure(.badData, path, "is no result of an evaluation")
            }
            return (String(name.dropLast(5)), record)
        }
    }

    /// Writes report.html into the run folder and gives its path.
    package func write() throws -> String {
        let path = folder + "/report.html"
        try AtomicFile.write(html, to: path)
        return path
    }

    private var html: String {
        let name = (folder as NSString).lastPathComponent
        let body =
            "<h1>\(HTML.escape(name))</h1><p class=\"sub\">A Diptych training run</p>" + tiles
            + "<h2>Training</h2><div class=\"charts\">"
            + charts + "</div>" + tables + examples + "<h2>Recipe</h2><pre>\(HTML.escape(recipe))</pre>"
        return HTML.page(title: "\(name) · Diptych", body: body)
    }

    private var tiles: String {
        var items: [(String, String)] = []
        if let last = steps.last {
            items.append(("\(last.step)", "steps"))
            items.append((last.pairsSeen.formatted(), "pairs seen"))
            let speeds = steps.map(\.pairsPerSecond).sorted()
            items.append((String(format: "%.0f", speeds[speeds.count / 2]), "pairs/s, median"))
            let tail = steps.suffix(max(1, steps.count / 20)).map(\.loss)
            items.append((String(format: "%.3f", tail.reduce(0, +) / Double(tail.count)), "loss, last 5 % of steps"))
            items.append((formatBytes(last.peakMemoryBytes), "peak memory"))
        }
        return "<div class=\"tiles\">"
            + items.map { "<div class=\"tile\"><b>\($0.0)</b><span>\($0.1)</span></div>" }.joined() + "</div>"
    }

    /// What is drawn; none of them is empty once a step was logged.
    package var curves: [Chart] {
        func series(_ value: (StepRecord) -> Double) -> [(x: Double, y: Double)] {
            steps.map { (Double($0.step), value($0)) }
        }
        return [
            Chart(
                title: "Loss (nats per image)",
                lines: [
                    ("train", series(\.loss), 0), ("validation", validation.map { (Double($0.step), $0.loss) }, 1),
                ]),
            Chart(title: "Learning rate", lines: [("rate", series(\.learningRate), 0)]),
            Chart(title: "Logit scale", lines: [("scale", series(\.logitScale), 0)]),
            Chart(title: "Gradient norm", lines: [("norm", series(\.gradientNorm), 0)]),
            Chart(title: "Pairs per second", lines: [("pairs/s", series(\.pairsPerSecond), 0)]),
        ]
    }

    private var charts: String { curves.filter { !$0.isEmpty }.map(\.svg).joined() }

    private var tables: String {
        guard !results.isEmpty else { return "" }
        let rows = results.flatMap { name, record -> [String] in
            record.values.sorted { Self.order($0.name) < Self.order($1.name) }.map { value in
                func percent(_ share: Double) -> String { String(format: "%.1f", 100 * share) }
                return """
                    <tr><td>\(HTML.escape(name))</td><td>\(Self.title(value.name))</td><td class="n"><b>\(percent(value.value))</b></td>
                    <td class="n">\(percent(value.low)) to \(percent(value.high))</td>
                    <td><div class="bar"><i style="width:\(percent(value.value))%"></i><u style="left:\(percent(value.low))%;width:\(percent(value.high - value.low))%"></u></div></td></tr>
                    """
            }
        }
        return """
            <h2>Zero-shot results</h2><div class="card scroll"><table><tr><th>Task</th><th>Metric</th><th class="n">%</th><th class="n">95 % interval</th><th></th></tr>
            \(rows.joined())</table></div>
            """
    }

    private static func order(_ metric: String) -> String {
        // recall@1, 5, 10 in that order
        metric.replacingOccurrences(of: "@10", with: "@99")
    }

    private static func title(_ metric: String) -> String {
        let names = ["acc1": "top-1 accuracy", "acc5": "top-5 accuracy", "mean_per_class_recall": "mean per class"]
        if let name = names[metric] { return name }
        return HTML.escape(
            metric.replacingOccurrences(of: "image_retrieval_recall@", with: "text to image R@")
                .replacingOccurrences(of: "text_retrieval_recall@", with: "image to text R@"))
    }

    private var examples: String {
        results.map { name, record in
            let list = (try? JSON(file: "\(folder)/evals/\(name).examples.json").array) ?? []
            let examples = list.compactMap(ExampleRecord.init)
            guard let first = examples.first else { return "" }
            let isOfPictures = first.picture != nil
            let items = examples.map(isOfPictures ? classification : retrieval).joined()
            let title =
                isOfPictures ? "Images and the classes found for them" : "Captions and the images found for them"
            return
                "<h2>\(HTML.escape(name)): \(title)</h2><div class=\"card \(isOfPictures ? "cards" : "")\">\(items)</div>"
        }.joined()
    }

    private func retrieval(_ example: ExampleRecord) -> String {
        let answers = example.answers.map { answer in
            "<div class=\"\(answer.isRight ? "right" : "")\">\(HTML.picture(answer.picture ?? ""))\(String(format: "%.3f", answer.score))</div>"
        }
        return
            "<div class=\"ask\"><q>\(HTML.escape(example.query))</q><div class=\"answers\">\(answers.joined())</div></div>"
    }

    private func classification(_ example: ExampleRecord) -> String {
        let answers = example.answers.map { answer in
            "<li class=\"\(answer.isRight ? "right" : "")\">\(HTML.escape(answer.text))</li>"
        }
        return
            "<div class=\"shown\"><div>\(HTML.picture(example.picture ?? ""))</div><ol>\(answers.joined())</ol></div>"
    }
}
