import Encoders
import Foundation
import Layers
import Learning
import Objectives
import Optimizers
import Records
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing
import Training

@Suite struct LearningTests {
    private func batch(_ device: any Device, _ blueprint: Blueprint, count: Int) -> PairBatch {
        var stream = RandomStream(seed: 2, purpose: "batch")
        let shape = [count, 3, blueprint.vision.height, blueprint.vision.width]
        let images = device.tensor((0..<shape.reduce(1, *)).map { _ in Float(stream.normal()) }, shape: shape)
        let length = blueprint.text.contextLength
        let ids = (0..<count).flatMap { row in
            (0..<length).map {
                $0 == 3 + row % (length - 3)
                    ? Int32(blueprint.text.vocabulary - 1) : Int32(stream.integer(below: blueprint.text.vocabulary - 1))
            }
        }
        return PairBatch(images: ImageBatch(images), texts: TokenBatch(padded: ids, contextLength: length))
    }

    private func blueprint() throws -> Blueprint {
        try Blueprint(
            [
                "embed_dim": 16, "init_logit_bias": -10,
                "vision_cfg": ["image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8],
                "text_cfg": ["context_length": 10, "vocab_size": 50, "width": 16, "heads": 2, "layers": 2],
            ], path: "test")
    }

    @Test(
        "Cached features and recomputation give the undivided batch's loss and gradients", arguments: Objective.allCases
    )
    func cachedFeatures(_ objective: Objective) throws {
        let device = CPUDevice(threads: 2)
        let blueprint = try blueprint()
        var model = try DualEncoder(FreshParameters(on: device, seed: 1), blueprint)
        let batch = batch(device, blueprint, count: 13)
        let whole = LearningTask.contrastive(model, objective).gradients(batch)
        let parts = LearningTask.contrastive(model, objective).gradients(batch, chunk: 5)
        model.recomputes = true
        let again = LearningTask.contrastive(model, objective).gradients(batch)
        for other in [parts, again] {
            #expect(abs(other.loss.scalar - whole.loss.scalar) <= 1e-6 * abs(whole.loss.scalar))
            for (entry, its) in zip(whole.gradients.entries, other.gradients.entries) {
                // The softmax loss has no gradient for the bias.
                guard let a = entry.gradient, let b = its.gradient else { continue }
                let name = entry.name
                let largest = max(1e-4, a.floats.map(abs).max()!)
                #expect(Close.absolute(a.floats, b.floats) <= 1e-5 * Double(largest), "\(name)")
            }
        }
        // Recomputing is the same arithmetic: the same bits.
        #expect(
            zip(whole.gradients.entries, again.gradients.entries).allSatisfy {
                $0.gradient?.floats == $1.gradient?.floats
            })
    }

    @Test("Packed captions give the same features as padded ones")
    func packing() throws {
        let device = CPUDevice(threads: 2)
        let blueprint = try blueprint()
        let model = try DualEncoder(FreshParameters(on: device, seed: 1), blueprint)
        let texts = batch(device, blueprint, count: 7).texts
        let packed = withoutTape { model.text(texts) }.floats
        let padded = withoutTape { model.text(texts, isPacked: false) }.floats
        #expect(Close.relative(padded, packed) < 1e-6)
    }
}
