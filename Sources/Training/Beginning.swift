import Evaluation
import Foundation
import Optimizers
import StrictYAML
import Support
import TensorCore

/// Where a run is kept, and whether it goes on.
package struct RunPlace {
    package let path: String
    package let resumes: Bool
    /// Inputs that may differ from those the run began with, by their names in `RunInputs.Part`.
    package let allowed: [String]

    package init(_ path: String, resume: Bool = false, allowChanged allowed: [String] = []) {
        (self.path, resumes, self.allowed) = (path, resume, allowed)
    }
}

/// What a run begins or goes on from, and its folder. Rank 0 reads and writes; the others get what it found.
struct Beginning {
    let run: RunFolder?
    let start: Start
    /// Whether a checkpoint of the run itself was found.
    let isFound: Bool

    init(
        _ setup: TrainingSetup, _ place: RunPlace,
        _ evaluators: [(plan: DuePart.Evaluation, evaluator: Evaluator)], on device: any Device,
        _ observer: some RunObserver
    ) throws {
        let (recipe, path, resume) = (setup.recipe, place.path, place.resumes)
        let goesOn = resume && Files.exists(path + "/recipe.yaml")
        // What cannot be made is found before a folder for it stands.
        let fresh = goesOn ? nil : try setup.start(on: device)
        let run = try RunFolder(path, resume: resume)
        if resume { try recipe.requireSame(as: path + "/recipe.yaml") }
        let inputs = try RunInputs(
            recipe, setup,
            evaluations: evaluators.map { RunInputs.TaskInputs(task: $0.plan.task, digest: $0.evaluator.digest) })
        var notes: [String] = []
        if goesOn { notes = try inputs.requireSame(asIn: path, allowing: RunInputs.parts(place.allowed)) }
        for note in notes { try observer.see(.note(note)) }
        let found = goesOn ? try setup.newest(of: run, on: device) { try observer.see(.note($0)) } : nil
        if goesOn, found == nil {
            try observer.see(.note("\(path): no checkpoint had been written; the run begins at step 0"))
        } else if !goesOn {
            try inputs.write(to: path)
            try AtomicFile.write(recipe.file.text(), to: path + "/recipe.yaml")
        }
        (self.run, start, isFound) = (run, try found ?? fresh ?? setup.start(on: device), found != nil)
    }

    /// Of a rank that gets all values from rank 0.
    init(replicaOf setup: TrainingSetup, on device: any Device) throws {
        (run, start, isFound) = (nil, try setup.replica(on: device), false)
    }
}
