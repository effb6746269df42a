import Doctor
import Encoders
import Evaluation
import Foundation
import Images
import Layers
import Learning
import Models
import Objectives
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing
import Training
import Weights

@Suite struct BatchNormTests {
    @Test("A frozen batch norm keeps its statistics, one that is trained follows the batches")
    func frozenNorms() throws {
        let tower = try TinyModels.model(TinyModels.resNet)
        let pixels: [Float] = (0..<6144).map { (index: Int) -> Float in Float(index % 17) / 9 - 1 }
        let images = tower.device.tensor(pixels, shape: [2, 3, 32, 32])
        let texts = TokenBatch(padded: [1, 2, 3, 19, 0, 0, 4, 5, 19, 0, 0, 0], contextLength: 6)
        let task = LearningTask.contrastive(tower, .softmax)
        let batch = PairBatch(images: ImageBatch(images), texts: texts)
        func statistics() -> [Float] { tower.state.filter { $0.role == .buffer }.flatMap { $0.value.floats } }
        let before = statistics()
        _ = task.gradients(batch) { $0.hasPrefix("visual.") }
        #expect(statistics() == before)
        _ = task.gradients(batch)
        #expect(statistics() != before)
    }

    @Test("Batch normalisation follows the batches in training only")
    func runningStatistics() throws {
        var tower = try TinyModels.model(TinyModels.resNet)
        let images = tower.device.filled(0.3, shape: [3, 3, 32, 32])
        func mean() -> [Float] { tower.state.first { $0.name == "visual.bn1.running_mean" }!.value.floats }
        _ = tower.image(images)
        #expect(mean().allSatisfy { $0 == 0 })
        tower.batchNorms = .batch
        _ = tower.image(images)
        #expect(mean().contains { $0 != 0 })
        let counted = tower.state.first { $0.name == "visual.bn1.num_batches_tracked" }!.value.scalar
        #expect(counted == 1)
        try Places.withFolder { folder in
            try ModelFolder.write(tower, preprocess: [:], to: folder)
            let back = try DualEncoder.read(folder, on: tower.device).model
            #expect(back.state.first { $0.name == "visual.bn1.running_mean" }!.value.floats == mean())
        }
    }
}
