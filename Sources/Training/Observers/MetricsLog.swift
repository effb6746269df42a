import Evaluation
import Records
import Support

/// metrics.jsonl and evals/ of a run folder.
struct MetricsLog: RunObserver {
    let run: RunFolder
    /// Steps between logged ones; the last is logged too.
    let every: Int

    func see(_ event: RunEvent) throws {
        switch event {
        case .step(let record):
            if record.step % every == 0 || record.step == record.steps { try run.log(record.json) }
        case .validation(let record): try run.log(record.json)
        case .evaluation(let result, let task, let step, let isFinal):
            let path = run.path + "/evals/\(task)" + (isFinal ? "" : "-step-\(step)")
            try AtomicFile.write(result.record.json.text(indent: 2) + "\n", to: path + ".json")
            guard isFinal else { return }
            try AtomicFile.write(JSON.array(result.examples.map(\.json)).text(), to: path + ".examples.json")
        case .note: break
        }
    }
}
