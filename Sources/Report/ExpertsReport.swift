import Foundation
import Records
import Support

/// One self-contained page about a mixture of experts: what each task's router did beside what it could have done.
package struct ExpertsReport {
    private let folder: String
    private let results: [(name: String, record: EvaluationRecord)]
    private let recipe: String
    private let summary: String

    /// - Throws: `Failure(.badData)` when a result cannot be read.
    package init(_ folder: String) throws {
        self.folder = folder
        let names = ((try? Files.names(in: folder + "/evals")) ?? []).sorted()
        results = try names.filter { $0.hasSuffix(".json") }.map { name in
            let path = folder + "/evals/" + name
            guard let record = EvaluationRecord(try JSON(file: path)) else {
                throw Failure(.badData, path, "is no result of an evaluation")
            }
            return (String(name.dropLast(5)), record)
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

    private func section(_ name: String, _ record: EvaluationRecord) -> String {
        guard let audit = record.experts else { return "" }
        return "<h2>\(HTML.escape(name))</h2>" + weights(audit) + metrics(record, audit) + classes(audit)
    }

    private func number(_ value: Double?, _ format: String = "%.3f") -> String { String(format: format, value ?? 0) }

    private func weights(_ audit: AuditRecord) -> String {
        let queries = audit.queries
        let rows = zip(audit.experts, audit.weights).enumerated().map { place, expert in
            """
            <tr><td>expert \(expert.0)</td><td class="n"><b>\(number(expert.1))</b></td>
            <td><div class="bar"><i style="width:\(number(100 * expert.1, "%.1f"))%"></i></div></td>
            \(queries.map { "<td class=\"n\">\(number($0.meanWeights.dropFirst(place).first))</td>" } ?? "")</tr>
            """
        }
        let extra = queries.map {
            ", by caption \(number($0.meanEntropy)) (largest possible weight \(number($0.largestPossibleWeight)))"
        }
        return """
            <div class="card scroll"><p class="sub">Entropy of the task's weights \(number(audit.entropy)) of \(number(log(Double(max(1, audit.weights.count))))), largest possible weight \(number(audit.largestPossibleWeight))\(extra ?? "")</p>
            <table><tr><th></th><th class="n">weight</th><th></th>\(queries == nil ? "" : "<th class=\"n\">mean by caption</th>")</tr>\(rows.joined())</table></div>
            """
    }

    private func metrics(_ record: EvaluationRecord, _ audit: AuditRecord) -> String {
        func cell(_ value: Double?) -> String { "<td class=\"n\">\(number(value.map { 100 * $0 }, "%.1f"))</td>" }
        let rows = record.values.sorted { $0.name < $1.name }.map { value in
            "<tr><td>\(HTML.escape(value.name))</td><td class=\"n\"><b>\(number(100 * value.value, "%.1f"))</b></td>"
                + "<td class=\"n\">\(number(100 * value.low, "%.1f")) to \(number(100 * value.high, "%.1f"))</td>"
                + audit.alone.map { cell($0[value.name]) }.joined() + cell(audit.uniform[value.name])
                + cell(audit.oracle[value.name]?.value) + cell(audit.regret[value.name]) + "</tr>"
        }
        let heads = zip(audit.experts, audit.alone).map { "<th class=\"n\">expert \($0.0)</th>" }.joined()
        return """
            <div class="card scroll" style="margin-top:12px"><table><tr><th>%</th><th class="n">ensemble</th><th class="n">95 % interval</th>\(heads)<th class="n">all alike</th><th class="n">oracle</th><th class="n">regret</th></tr>\(rows.joined())</table></div>
            """
    }

    private func classes(_ audit: AuditRecord) -> String {
        guard !audit.classes.isEmpty else { return "" }
        let rows = audit.classes.map {
            "<tr><td>\(HTML.escape($0.name))</td><td class=\"n\">\($0.expert)</td><td class=\"n\">\(number($0.affinity, "%.4f"))</td></tr>"
        }
        return """
            <details class="card" style="margin-top:12px"><summary>What each class speaks for</summary><div class="scroll"><table><tr><th>class</th><th class="n">expert</th><th class="n">affinity</th></tr>\(rows.joined())</table></div></details>
            """
    }
}
