import Encoders
import Layers
import Learning
import Objectives
import Optimizers
import Processes
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing

/// A step in slices: its bits depend on the batch and the slices alone.
@Suite struct SlicingTests {
    struct Way: Sendable, CustomStringConvertible {
        var ranks = 1
        var threads = 2
        var chunk: Int?
        var description: String { "\(ranks) ranks, \(threads) threads, chunk \(chunk ?? 0)" }
    }

    private static let count = 24

    private static func pairs(_ config: JSON, on device: any Device, rank: Int, of ranks: Int, step: Int) throws
        -> PairBatch
    {
        let shape = try Blueprint(config, path: "model")
        let (height, width) = (shape.vision.height, shape.vision.width)
        var stream = RandomStream(seed: 2, purpose: "batch \(step)")
        let pixels = (0..<count * height * width * 3).map { _ in UInt8(stream.integer(below: 256)) }
        let last = shape.text.vocabulary - 1
        let texts = (0..<count).map { row in
            (0..<2 + row % 4).map { _ in Int32(stream.integer(below: last)) } + [Int32(last)]
        }
        let (share, size) = (count / ranks, height * width * 3)
        let mine = rank * share..<(rank + 1) * share
        return PairBatch(
            images: ImageBatch(
                pixels: device.tensor(
                    Array(pixels[mine.lowerBound * size..<mine.upperBound * size]), shape: [share, height, width, 3]),
                table: device.tensor((0..<768).map { Float($0 % 256) / 127.5 - 1 }, shape: [3, 256])),
            texts: TokenBatch(texts[mine], contextLength: shape.text.contextLength, padding: 0))
    }

    struct End: Equatable, Sendable {
        var weights: [[Float]] = []
        var moments: [String: [Float]] = [:]
        var losses: [Float] = []
        var norms: [Double] = []
    }

    private static func run(_ config: JSON, _ objective: Objective, slices: Int, _ way: Way) throws -> [End] {
        try ThreadGroup.run(way.ranks) { group in
            let device = CPUDevice(threads: way.threads)
            let model = try DualEncoder(
                FreshParameters(on: device, seed: 1), try Blueprint(config, path: "model"))
            var step = Step(
                .contrastive(model, objective), AdamW(.init()),
                StepSettings(clip: 0.5, chunk: way.chunk.map { $0 / way.ranks }) { $0.hasPrefix("visual.conv1") },
                Slicing(group, slices: slices))
            var end = End()
            for number in 0..<3 {
                let batch = try pairs(config, on: device, rank: group.rank, of: group.size, step: number)
                let values = try step(batch, rate: 1e-2).wait()
                end.losses.append(values.loss)
                end.norms.append(values.gradientNorm)
            }
            end.weights = step.task.model.state.map { $0.value.floats }
            end.moments = try step.gatheredOptimizer().moments.mapValues { $0.mean.floats + $0.square.floats }
            return end
        }
    }

    @Test(
        "The same bits for any ranks, threads and chunks",
        arguments: [
            (TinyModels.clip, Objective.softmax), (TinyModels.siglip, .sigmoid), (TinyModels.resNet, .softmax),
        ])
    func sameBits(_ config: JSON, _ objective: Objective) throws {
        let one = try Self.run(config, objective, slices: 12, Way())
        for way in [
            Way(threads: 1), Way(chunk: 2), Way(chunk: 6), Way(ranks: 3), Way(ranks: 6, threads: 1), Way(ranks: 12),
            Way(ranks: 3, chunk: 12),
        ] {
            let ends = try Self.run(config, objective, slices: 12, way)
            #expect(ends[0] == one[0], "\(way)")
            #expect(ends.allSatisfy { $0.weights == one[0].weights && $0.losses == one[0].losses }, "\(way)")
        }
    }

    @Test("A sliced step is the undivided one but for rounding", arguments: [4, 24])
    func undivided(_ slices: Int) throws {
        let device = CPUDevice()
        var (whole, sliced) = ([Float](), [Float]())
        for isSliced in [false, true] {
            let model = try DualEncoder(
                FreshParameters(on: device, seed: 1), try Blueprint(TinyModels.clip, path: "model"))
            var step = Step(
                .contrastive(model, .softmax), AdamW(.init()), StepSettings(clip: 0.5),
                isSliced ? Slicing(Alone(), slices: slices) : nil)
            let batch = try Self.pairs(TinyModels.clip, on: device, rank: 0, of: 1, step: 0)
            let values = try step(batch, rate: 0).wait()
            let moments = try step.gatheredOptimizer().moments
            let all =
                [values.loss, Float(values.gradientNorm)]
                + moments.sorted { $0.key < $1.key }.flatMap { $0.value.mean.floats }
            if isSliced { sliced = all } else { whole = all }
        }
        #expect(whole.count == sliced.count)
        #expect(Close.relative(whole, sliced) < 1e-6)
    }
}
