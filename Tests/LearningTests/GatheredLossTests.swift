import Foundation
import Learning
import Objectives
import Processes
import Support
import TensorCPU
import TensorCore
import TensorReference
import TestKit
import Testing

/// A loss over ranks: the same bits for any number of them, and the dense formula's values in double.
@Suite struct GatheredLossTests {
    struct Outcome: Equatable, Sendable {
        var loss = 0.0
        var dImages: [Float] = []
        var dTexts: [Float] = []
        var dLogScale = 0.0
        var dBias = 0.0
    }

    private static let width = 24

    private static func rows(_ count: Int) -> (images: [Float], texts: [Float]) {
        var stream = RandomStream(seed: 3, purpose: "rows")
        func unit(_ near: [Double]) -> [Double] {
            let row = near.map { $0 + stream.normal() }
            let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return row.map { $0 / length }
        }
        var (images, texts): ([Float], [Float]) = ([], [])
        for _ in 0..<count {
            let centre = (0..<width).map { _ in stream.normal() }
            images += unit(centre).map { Float($0) }
            texts += unit(centre).map { Float($0) }
        }
        return (images, texts)
    }

    private static func scalars(_ objective: Objective) -> (logScale: Float, bias: Float) {
        objective == .softmax ? (log(100), 0) : (log(10), -10)
    }

    private static func run(_ objective: Objective, count: Int, slices: Int, ranks: Int, threads: Int) throws -> Outcome
    {
        let (images, texts) = rows(count)
        let parts = try ThreadGroup.run(ranks) { group in
            let device = CPUDevice(threads: threads)
            let share = count / ranks * width
            func mine(_ all: [Float]) -> Tensor {
                device.tensor(Array(all[group.rank * share..<(group.rank + 1) * share]), shape: [count / ranks, width])
            }
            let (x, y) = (mine(images), mine(texts))
            let loss = GatheredLoss(objective, group, slice: count / slices)
            let (allX, allY) = (try loss.gather(x, "x")(), try loss.gather(y, "y")())
            let (logScale, bias) = scalars(objective)
            let result = try loss(
                images: (x, allX), texts: (y, allY), logScale: device.tensor([logScale], shape: []),
                logitBias: objective == .sigmoid ? device.tensor([bias], shape: []) : nil)
            return Outcome(
                loss: result.loss, dImages: result.dImages.floats, dTexts: result.dTexts.floats,
                dLogScale: result.dLogScale, dBias: result.dBias)
        }
        var whole = parts[0]
        for part in parts.dropFirst() {
            #expect(part.loss == whole.loss && part.dLogScale == whole.dLogScale && part.dBias == whole.dBias)
            whole.dImages += part.dImages
            whole.dTexts += part.dTexts
        }
        return whole
    }

    private static func dense(_ objective: Objective, count: Int) -> Outcome {
        let device = ReferenceDevice()
        let (images, texts) = rows(count)
        let (x, y) = (
            device.tensor(images, shape: [count, width]).watched(),
            device.tensor(texts, shape: [count, width]).watched()
        )
        let (scale, bias) = scalars(objective)
        let logScale = device.tensor([scale], shape: []).watched()
        let logitBias = device.tensor([bias], shape: []).watched()
        let loss = objective.loss(images: x, texts: y, logScale: logScale, logitBias: logitBias)
        loss.backward()
        return Outcome(
            loss: Double(loss.scalar), dImages: x.gradient?.floats ?? [], dTexts: y.gradient?.floats ?? [],
            dLogScale: Double(logScale.gradient?.scalar ?? 0), dBias: Double(logitBias.gradient?.scalar ?? 0))
    }

    /// 24 slices: ranks of 1, 3 and 24; 8 slices: 1, 2, 4, 8. Tiles of 512 come out uneven.
    @Test(
        "The same bits for any ranks and threads, near float64",
        arguments: [Objective.softmax, .sigmoid],
        [(count: 24, slices: 24, ranks: [1, 3, 6]), (1160, 8, [1, 2, 4, 8]), (1200, 3, [1, 3])])
    func sameBits(_ objective: Objective, _ shape: (count: Int, slices: Int, ranks: [Int])) throws {
        let one = try Self.run(objective, count: shape.count, slices: shape.slices, ranks: 1, threads: 2)
        for ranks in shape.ranks {
            let outcome = try Self.run(objective, count: shape.count, slices: shape.slices, ranks: ranks, threads: 1)
            #expect(outcome == one, "\(ranks) ranks")
        }
        let truth = Self.dense(objective, count: shape.count)
        #expect(abs(one.loss - truth.loss) <= 1e-6 * truth.loss)
        #expect(Close.relative(truth.dImages, one.dImages) < 5e-6)
        #expect(Close.relative(truth.dTexts, one.dTexts) < 5e-6)
        #expect(abs(one.dLogScale - truth.dLogScale) <= 2e-5 * abs(truth.dLogScale))
        #expect(abs(one.dBias - truth.dBias) <= 1e-5 * abs(truth.dBias))
    }

    @Test("The reference device computes the same strips", arguments: [Objective.softmax, .sigmoid])
    func reference(_ objective: Objective) throws {
        let (count, slice) = (600, 200)
        let (images, texts) = Self.rows(count)
        let (scale, bias) = Self.scalars(objective)
        let results = try [ReferenceDevice() as any Device, CPUDevice()].map { device in
            let (x, y) = (
                device.tensor(images, shape: [count, Self.width]), device.tensor(texts, shape: [count, Self.width])
            )
            let result = try GatheredLoss(objective, Alone(), slice: slice)(
                images: (x, x), texts: (y, y), logScale: device.tensor([scale], shape: []),
                logitBias: device.tensor([bias], shape: []))
            return result.dImages.floats + result.dTexts.floats
                + [Float(result.loss), Float(result.dLogScale), Float(result.dBias)]
        }
        #expect(Close.relative(results[0], results[1]) < 2e-5)
    }
}
