import Foundation
import Support

/// One self-contained page about a run, made from what stands in its folder.
package struct RunReport {
    private let folder: String
    private let steps: [JSON]
    private let validation: [JSON]
    private let results: [(name: String, json: JSON)]
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
        steps = lines.filter { $0["loss"] != nil }
        validation = lines.filter { $0["validation_loss"] != nil }
        recipe = (try? String(decoding: readFile(folder + "/recipe.yaml"), as: UTF8.self)) ?? ""
        let evals = ((try? Files.names(in: folder + "/evals")) ?? []).sorted()
        results = try evals.filter {
            $0.hasSuffix(".json") && !$0.hasSuffix(".examples.json") && !$0.contains("-step-")
        }.map {
            (String($0.dropLast(5)), try JSON(file: folder + "/evals/" + $0))
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

    private func series(_ key: String, _ rows: [JSON]? = nil) -> [(x: Double, y: Double)] {
        (rows ?? steps).compactMap { row in
            guard let x = row["step"]?.number, let y = row[key]?.number else { return nil }
            return (x, y)
        }
    }

    private var tiles: String {
        var items: [(String, String)] = []
        if let last = steps.last {
            items.append(("\(last["step"]?.integer ?? 0)", "steps"))
            items.append(((last["pairs_seen"]?.integer ?? 0).formatted(), "pairs seen"))
            let speeds = steps.compactMap { $0["pairs_per_second"]?.number }.sorted()
            if !speeds.isEmpty { items.append((String(format: "%.0f", speeds[speeds.count / 2]), "pairs/s, median")) }
            let tail = steps.suffix(max(1, steps.count / 20)).compactMap { $0["loss"]?.number }
            items.append(
                (String(format: "%.3f", tail.reduce(0, +) / Double(max(1, tail.count))), "loss, last 5 % of steps"))
            if let memory = last["peak_memory_bytes"]?.integer { items.append((formatBytes(memory), "peak memory")) }
        }
        return "<div class=\"tiles\">"
            + items.map { "<div class=\"tile\"><b>\($0.0)</b><span>\($0.1)</span></div>" }.joined() + "</div>"
    }

    private var charts: String {
        [
            Chart(
                title: "Loss (nats per image)",
                lines: [("train", series("loss"), 0), ("validation", series("validation_loss", validation), 1)]),
            Chart(title: "Learning rate", lines: [("rate", series("learning_rate"), 0)]),
            Chart(title: "Logit scale", lines: [("scale", series("logit_scale"), 0)]),
            Chart(title: "Gradient norm", lines: [("norm", series("gradient_norm"), 0)]),
            Chart(title: "Pairs per second", lines: [("pairs/s", series("pairs_per_second"), 0)]),
        ].filter { !$0.isEmpty }.map(\.svg).joined()
    }

    private var tables: String {
        guard !results.isEmpty else { return "" }
        let rows = results.flatMap { name, json -> [String] in
            (json["metrics"]?.object ?? [:]).sorted { Self.order($0.key) < Self.order($1.key) }.map { metric, value in
                let number = value.number ?? 0
                let stated = json["confidence"]?[metric]?.array?.compactMap(\.number) ?? []
                let ends = stated.count == 2 ? stated : [number, number]
                func percent(_ share: Double) -> String { String(format: "%.1f", 100 * share) }
                return """
                    <tr><td>\(HTML.escape(name))</td><td>\(Self.title(metric))</td><td class="n"><b>\(percent(number))</b></td>
                    <td class="n">\(percent(ends[0])) to \(percent(ends[1]))</td>
                    <td><div class="bar"><i style="width:\(percent(number))%"></i><u style="left:\(percent(ends[0]))%;width:\(percent(ends[1] - ends[0]))%"></u></div></td></tr>
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
        results.map { name, json in
            guard let list = try? JSON(file: "\(folder)/evals/\(name).examples.json").array, !list.isEmpty else {
                return ""
            }
            let isRetrieval = json["task"]?.string == "zeroshot_retrieval"
            let items = list.map(isRetrieval ? retrieval : classification).joined()
            let title = isRetrieval ? "Captions and the images found for them" : "Images and the classes found for them"
            return
                "<h2>\(HTML.escape(name)): \(title)</h2><div class=\"card \(isRetrieval ? "" : "cards")\">\(items)</div>"
        }.joined()
    }

    private func picture(_ json: JSON?) -> String {
        HTML.picture(json?.string ?? "")
    }

    private func retrieval(_ example: JSON) -> String {
        let answers = (example["answers"]?.array ?? []).map { answer in
            "<div class=\"\(answer["right"]?.bool == true ? "right" : "")\">\(picture(answer["picture"]))\(String(format: "%.3f", answer["score"]?.number ?? 0))</div>"
        }
        return
            "<div class=\"ask\"><q>\(HTML.escape(example["query"]?.string ?? ""))</q><div class=\"answers\">\(answers.joined())</div></div>"
    }

    private func classification(_ example: JSON) -> String {
        let answers = (example["answers"]?.array ?? []).map { answer in
            "<li class=\"\(answer["right"]?.bool == true ? "right" : "")\">\(HTML.escape(answer["text"]?.string ?? ""))</li>"
        }
        return "<div class=\"shown\"><div>\(picture(example["picture"]))</div><ol>\(answers.joined())</ol></div>"
    }
}
