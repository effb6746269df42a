import Foundation
import Support

/// One self-contained page about a mixture of experts: what each task's router did beside what it could have done.
package struct ExpertsReport {
    private let folder: String
    private let results: [(name: String, json: JSON)]
    private let recipe: String
    private let summary: String

    /// - Throws: `Failure(.badData)` when a result cannot be read.
    package init(_ folder: String) throws {
        self.folder = folder
        let names = ((try? Files.names(in: folder + "/evals")) ?? []).sorted()
        results = try names.filter { $0.hasSuffix(".json") }.map {
            (String($0.dropLast(5)), try JSON(file: folder + "/evals/" + $0))
        }
        recipe = (try? String(decoding: readFile(folder + "/recipe.yaml"), as: UTF8.self)) ?? ""
        summary = (try? String(decoding: readFile(folder + "/clusters/summary.md"), as: UTF8.self)) ?? ""
    }

    /// Writes report.html into the folder and gives its path.
    package func write() throws -> String {
        let path = folder + "/report.html"
        let name = (folder as NSString).lastPathComponent
        let body =
            "<h1>\(HTML.escape(name))</h1><p class=\"sub\">A mixture of data experts</p>"
            + results.map(section).joined()
            + (summary.isEmpty ? "" : "<h2>Clusters</h2><pre>\(HTML.escape(summary))</pre>")
            + "<h2>Recipe</h2><pre>\(HTML.escape(recipe))</pre>"
        try AtomicFile.write(HTML.page(title: "\(name) · Diptych", body: body), to: path)
        return path
    }

    private func section(_ name: String, _ json: JSON) -> String {
        guard let audit = json["experts"] else { return "" }
        return "<h2>\(HTML.escape(name))</h2>" + weights(audit) + metrics(json, audit) + classes(audit)
    }

    private func number(_ value: Double?, _ format: String = "%.3f") -> String { String(format: format, value ?? 0) }

    private func weights(_ audit: JSON) -> String {
        let task = audit["weights"]?.array?.compactMap(\.number) ?? []
        let numbers = audit["experts"]?.array?.compactMap(\.integer) ?? Array(task.indices)
        let queries = audit["queries"]?["mean_weights"]?.array?.compactMap(\.number)
        let rows = task.indices.map { expert in
            """
            <tr><td>expert \(expert < numbers.count ? numbers[expert] : expert)</td><td class="n"><b>\(number(task[expert]))</b></td>
            <td><div class="bar"><i style="width:\(number(100 * task[expert], "%.1f"))%"></i></div></td>
            \(queries.map { "<td class=\"n\">\(number($0.dropFirst(expert).first))</td>" } ?? "")</tr>
            """
        }
        let extra = audit["queries"].map {
            ", by caption \(number($0["mean_entropy"]?.number)) (largest possible weight \(number($0["largest_possible_weight"]?.number)))"
        }
        return """
            <div class="card scroll"><p class="sub">Entropy of the task's weights \(number(audit["entropy"]?.number)) of \(number(log(Double(max(1, task.count))))), largest possible weight \(number(audit["largest_possible_weight"]?.number))\(extra ?? "")</p>
            <table><tr><th></th><th class="n">weight</th><th></th>\(queries == nil ? "" : "<th class=\"n\">mean by caption</th>")</tr>\(rows.joined())</table></div>
            """
    }

    private func metrics(_ json: JSON, _ audit: JSON) -> String {
        let alone = audit["alone"]?.array ?? []
        let numbers = audit["experts"]?.array?.compactMap(\.integer) ?? Array(alone.indices)
        func cell(_ value: Double?) -> String { "<td class=\"n\">\(number(value.map { 100 * $0 }, "%.1f"))</td>" }
        let rows = (json["metrics"]?.object ?? [:]).sorted { $0.key < $1.key }.map { name, value in
            let ends = json["confidence"]?[name]?.array?.compactMap(\.number) ?? []
            let interval = ends.count == 2 ? "\(number(100 * ends[0], "%.1f")) to \(number(100 * ends[1], "%.1f"))" : ""
            return
                "<tr><td>\(HTML.escape(name))</td><td class=\"n\"><b>\(number((value.number ?? 0) * 100, "%.1f"))</b></td>"
                + "<td class=\"n\">\(interval)</td>" + alone.map { cell($0[name]?.number) }.joined()
                + cell(audit["uniform"]?[name]?.number) + cell(audit["oracle"]?[name]?["value"]?.number)
                + cell(audit["regret"]?[name]?.number) + "</tr>"
        }
        let heads = alone.indices.map { "<th class=\"n\">expert \($0 < numbers.count ? numbers[$0] : $0)</th>" }
            .joined()
        return """
            <div class="card scroll" style="margin-top:12px"><table><tr><th>%</th><th class="n">ensemble</th><th class="n">95 % interval</th>\(heads)<th class="n">all alike</th><th class="n">oracle</th><th class="n">regret</th></tr>\(rows.joined())</table></div>
            """
    }

    private func classes(_ audit: JSON) -> String {
        let list = audit["classes"]?.array ?? []
        guard !list.isEmpty else { return "" }
        let rows = list.map {
            "<tr><td>\(HTML.escape($0["class"]?.string ?? ""))</td><td class=\"n\">\($0["expert"]?.integer ?? 0)</td><td class=\"n\">\(number($0["affinity"]?.number, "%.4f"))</td></tr>"
        }
        return """
            <details class="card" style="margin-top:12px"><summary>What each class speaks for</summary><div class="scroll"><table><tr><th>class</th><th class="n">expert</th><th class="n">affinity</th></tr>\(rows.joined())</table></div></details>
            """
    }
}
