import Evaluation
import Records
import Foundation
import Support
import Training

/// A run on standard error: a progress line, and what a person should know.
final class TrainingProgress: RunObserver {
    private let title: String
    private let batch: Int
    private let endsItself: Bool
    private var line: ProgressLine?
    /// Averaged over the last steps or so, the first ones left behind.
    private var pace = 0.0

    /// - Parameter endsItself: whether its last step is the end, and no evaluations follow
    init(_ title: String, batch: Int, endsItself: Bool = false) {
        (self.title, self.batch, self.endsItself) = (title, batch, endsItself)
    }

    /// Says how long it took.
    func finish() { line?.finish() }

    func see(_ event: RunEvent) throws {
        switch event {
        case .step(let record):
            let line = line ?? ProgressLine(title, total: record.steps)
            self.line = line
            pace = pace == 0 ? record.pairsPerSecond : 0.9 * pace + 0.1 * record.pairsPerSecond
            let left = Double((record.steps - record.step) * batch) / pace
            line.update(
                record.step, detail: String(format: "loss %.4f  %.1f pairs/s", record.loss, pace), remaining: left)
            if endsItself, record.step == record.steps { line.finish() }
        case .validation: break
        case .evaluation(let result, let task, let step, _):
            say("\(task) at step \(step):\n" + result.lines.joined(separator: "\n"))
        case .note(let text): say(text)
        }
    }
}
