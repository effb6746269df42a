import Encoders
import Layers
import Learning
import Objectives
import Optimizers
import Support
import TensorCPU
import TensorCore
import TensorReference
import TestKit
import Testing

@Suite struct StepTests {
    private func step(on device: any Device, clip: Double? = 1, element: Element = .float32) throws -> Step {
        let blueprint = try Blueprint(
            [
                "embed_dim": 16,
                "vision_cfg": ["image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8],
                "text_cfg": ["context_length": 10, "vocab_size": 50, "width": 16, "heads": 2, "layers": 2],
            ], path: "test")
        var settings = StepSettings(clip: clip)
        settings.element = element
        return Step(
            .contrastive(try DualEncoder(FreshParameters(on: device, seed: 1), blueprint), .softmax), AdamW(.init()),
            settings)
    }

    private func batch(on device: any Device, count: Int = 6) -> PairBatch {
        var stream = RandomStream(seed: 2, purpose: "batch")
        let pixels = (0..<count * 768).map { _ in UInt8(stream.integer(below: 256)) }
        let table = (0..<768).map { Float($0 % 256) / 127.5 - 1 }
        let texts = (0..<count).map { row in (0..<3 + row % 4).map { _ in Int32(stream.integer(below: 49)) } + [49] }
        return PairBatch(
            images: ImageBatch(
                pixels: device.tensor(pixels, shape: [count, 16, 16, 3]), table: device.tensor(table, shape: [3, 256])),
            texts: TokenBatch(texts, contextLength: 10, padding: 0))
    }

    private func weights(_ step: Step) -> [[Float]] { step.task.model.state.map { $0.value.floats } }

    @Test("A step waits for nothing; its reading waits once")
    func waits() throws {
        let device = ProfilingDevice(CPUDevice(threads: 1))
        var step = try step(on: device)
        let batch = batch(on: device)
        _ = try step(batch, rate: 1e-3).wait()
        _ = device.take()
        let result = try step(batch, rate: 1e-3)
        #expect(device.take().waits == 0)
        _ = result.wait()
        #expect(device.take().waits == 1)
    }

    @Test("A step whose loss or gradients are not finite changes nothing, and the first such parameter is named")
    func notFinite() throws {
        let device = CPUDevice(threads: 1)
        var step = try step(on: device)
        _ = try step(batch(on: device), rate: 1e-3).wait()
        let before = weights(step)
        var (loss, gradients) = step.task.gradients(batch(on: device))
        let broken = gradients.entries[3]
        gradients.entries[3].gradient = device.filled(.infinity, shape: broken.value.shape)
        let result = step.apply(gradients, loss: loss, rate: 1e-3)
        #expect(!result.wait().isFinite)
        #expect(result.firstNonFinite == broken.name)
        #expect(weights(step) == before)
        loss = device.filled(.nan, shape: [])
        #expect(!step.apply(step.task.gradients(batch(on: device)).gradients, loss: loss, rate: 1e-3).wait().isFinite)
        #expect(weights(step) == before)
    }

    @Test("The logit scale stays within 1 and 100")
    func clamp() throws {
        let device = CPUDevice(threads: 1)
        var step = try step(on: device, clip: nil)
        for rate in [100.0, 100] { _ = try step(batch(on: device), rate: rate).wait() }
        #expect((0...4.6051702).contains(step.task.model.logScale.value.scalar))
    }

    // bfloat16 is good to 2^-9 of each value; losses of ten steps stay within 1 % (docs/decisions/0013).
    @Test("Ten steps in bfloat16 follow those in float32, with float32 masters")
    func bfloat16() throws {
        let device = ReferenceDevice()
        var (exact, rounded) = (try step(on: device), try step(on: device, element: .bfloat16))
        let batch = batch(on: device)
        for _ in 0..<10 {
            let (a, b) = (try exact(batch, rate: 1e-4).wait(), try rounded(batch, rate: 1e-4).wait())
            #expect(abs(a.loss - b.loss) < 0.01 * a.loss, "\(a.loss), \(b.loss)")
        }
        #expect(rounded.task.model.state.allSatisfy { $0.value.element == .float32 })
    }
}
