package import Evaluation
package import Records

/// What becomes known of a run. Observers get values and give nothing back; what they throw ends the run.
package enum RunEvent: Sendable {
    case step(StepRecord)
    case validation(ValidationRecord)
    /// - isFinal: of the finished model
    case evaluation(EvaluationResult, task: String, step: Int, isFinal: Bool)
    /// What a person should know.
    case note(String)
}

package protocol RunObserver {
    func see(_ event: RunEvent) throws
}
