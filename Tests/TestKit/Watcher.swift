package import Records
package import Training

/// Keeps what a run tells.
package final class Watcher: RunObserver {
    package private(set) var steps: [StepRecord] = []
    package private(set) var notes: [String] = []

    package init() {}

    package func see(_ event: RunEvent) {
        switch event {
        case .step(let record): steps.append(record)
        case .note(let text): notes.append(text)
        case .validation, .evaluation: break
        }
    }
}
