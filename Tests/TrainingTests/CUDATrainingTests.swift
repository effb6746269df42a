import Foundation
import Records
import Support
import TensorCUDA
import TensorCore
import TestKit
import Testing
import Training

/// Whole runs on the emulated GPU.
@Suite struct CUDATrainingTests {
    /// Asks for more memory than there is once a step has been read.
    private final class Hog: RunObserver {
        let device: CUDADevice
        let step: Int
        var held: [Tensor] = []

        init(_ device: CUDADevice, at step: Int) { (self.device, self.step) = (device, step) }

        func see(_ event: RunEvent) {
            if case .step(let record) = event, record.step == step { held.append(device.empty([1 << 30])) }
        }
    }

    private func train(_ recipe: String, _ run: String, _ device: CUDADevice, resume: Bool = false, hog: Int? = nil)
        throws -> [Double]
    {
        let watcher = Watcher()
        let observer: any RunObserver = if let hog { Hog(device, at: hog) } else { watcher }
        let trainer = try Trainer(
            Recipe(recipe, overrides: ["precision=bf16", "checkpoints.every=4"]), run: RunPlace(run, resume: resume),
            on: device, observer: observer)
        try trainer.train()
        return watcher.steps.map(\.loss)
    }

    private func device(_ schedule: EmulatedCUDA.Schedule = .ascending) -> CUDADevice {
        CUDADevice(EmulatedCUDA(schedule, limit: 2 << 30), precision: .bf16)
    }

    @Test("Out of memory: a checkpoint, what to lower, and a resume that ends as if never stopped")
    func outOfMemory() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let whole = try train(tiny.recipe, folder + "/whole", device())
            #expect(whole.count == 12 && whole[11] < whole[0])
            let failure = #expect(throws: Failure.self) {
                try train(tiny.recipe, folder + "/cut", device(), hog: 6)
            }
            #expect(failure?.kind == .machine)
            #expect(failure?.remedy.contains("chunk") == true)
            #expect(!Files.exists(folder + "/cut/model"))
            let rest = try train(tiny.recipe, folder + "/cut", device(.greedy), resume: true)
            #expect(rest.count < 8 && rest == Array(whole.suffix(rest.count)))
            let weights = try ["whole", "cut"].map { try readFile("\(folder)/\($0)/model/open_clip_model.safetensors") }
            #expect(weights[0] == weights[1])
        }
    }
}
