import Encoders
import Layers
import Objectives
package import Optimizers
package import Processes
import Support
import TensorCore

/// A batch in equal slices, each computed alone, over the ranks of a group. Gradients are added by one binary tree over the
/// slices: what comes out depends on the batch and the slices, never on ranks, threads or chunks (docs/decisions/0015).
package struct Slicing: Sendable {
    package let group: any ProcessGroup
    /// Of the whole batch; each rank holds the same number of them.
    package let slices: Int

    package init(_ group: any ProcessGroup, slices: Int) { (self.group, self.slices) = (group, slices) }
}

extension Slicing {
    /// Moves the running statistics of batch norms by the mean over all slices, which the same tree adds.
    func follow(_ statistics: SliceStatistics) throws {
        var counter = BinaryCounter<[Float]> { left, right in zip(left, right).map { $0 + $1 } }
        for row in statistics.rows { counter.push(row) }
        guard let own = counter.total() else { return }
        let (mine, all) = (HostBytes(count: own.count * 4), HostBytes(count: own.count * 4 * group.size))
        mine.copy(own)
        try group.allGather(mine, into: all, "statistics of the batch norms").wait()
        var sums = all.array(of: Float.self)
        sums.withUnsafeMutableBufferPointer { sums in
            guard let start = sums.baseAddress else { return }
            TreeSum.add((0..<group.size).map { start + $0 * own.count }, count: own.count)
        }
        statistics.follow(sums[..<own.count].map { $0 / Float(slices) })
    }
}

/// What a sliced step keeps for the next one.
struct SlicedState: Sendable {
    /// Made at the first step, when it is known which parameters get gradients.
    var optimizer: ShardedOptimizer?
    /// Of each parameter of its layout, the gradients that arrive in one slice.
    var arrivals: [Int]?
}

extension Step {
    mutating func sliced(_ batch: PairBatch, rate: Double, _ slicing: Slicing) throws -> StepResult {
        let (model, objective) = task.contrastive
        let count = slicing.slices / slicing.group.size
        precondition(batch.count % count == 0, "\(batch.count) pairs are not \(count) slices")
        var watched = model.watched(as: settings.element, except: settings.isFrozen)
        let statistics = SliceStatistics()
        watched.batchNorms = .slice(statistics)
        let isRecorded = settings.chunk.map { $0 >= batch.count } ?? true
        let slices = SlicedBatch(watched, batch, count: count, isRecorded: isRecorded, statistics)
        let gathered = GatheredLoss(objective, slicing.group, slice: slices.size)
        let texts = slices.encodeTexts()
        let allTexts = gathered.gather(texts, "features of the texts")
        let images = slices.encodeImages()
        let allImages = gathered.gather(images, "features of the images")
        let loss = try gathered(
            images: (images, try allImages()), texts: (texts, try allTexts()), logScale: watched.logScale.value,
            logitBias: watched.logitBias?.value)
        let sum = gradients(slices, loss, watched, slicing)
        sliced.arrivals = sum.arrivals
        try slicing.follow(statistics)
        return try update(sum, loss, watched, rate: rate, slicing.group)
    }

    /// Every slice's gradients, on their way to those who own them.
    private func gradients(
        _ slices: SlicedBatch, _ loss: GatheredLoss.Result, _ watched: DualEncoder, _ slicing: Slicing
    ) -> GradientSum {
        func begin(_ layout: FlatLayout) -> GradientSum {
            let all = Dictionary(uniqueKeysWithValues: watched.parameters.map { ($0.name, $0) })
            let parameters = layout.entries.compactMap { all[$0.name] }
            return GradientSum(layout, slicing.group, parameters, arrivals: sliced.arrivals, slices: slices.count)
        }
        var sum = sliced.optimizer.map { begin($0.layout) }
        for slice in 0..<slices.count {
            sum?.beginSlice()
            slices.backward(slice, loss)
            let begun = sum ?? begin(FlatLayout(learned(watched).map { ($0.name, $0.master.count) }))
            begun.endSlice()
            sum = begun
        }
        guard let sum else { preconditionFailure("a batch has a slice") }
        return sum
    }

    /// What gradients came to, or come to with the loss; the last to become final last.
    private func learned(_ watched: DualEncoder) -> [Parameter] {
        let fromLoss =
            [watched.logScale] + (task.contrastive.1 == .sigmoid ? [watched.logitBias].compactMap { $0 } : [])
        return watched.parameters.filter { parameter in
            !parameter.isFrozen && (parameter.gradient != nil || fromLoss.contains { $0.name == parameter.name })
        }.reversed()
    }

    private mutating func update(
        _ sum: GradientSum, _ loss: GatheredLoss.Result, _ watched: DualEncoder, rate: Double,
        _ group: any ProcessGroup
    ) throws -> StepResult {
        let gradient = try sum.total()
        for (name, value) in [(watched.logScale.name, loss.dLogScale), (watched.logitBias?.name, loss.dBias)] {
            guard let entry = sum.layout.entries.first(where: { $0.name == name }) else { continue }
            gradient.slice(entry.start..<entry.start + 1).fill(
                from: gradient.device.tensor([Float(value)], shape: [1]))
        }
        let sharded =
            sliced.optimizer
            ?? ShardedOptimizer(sum.layout, group, sum.parameters.map(\.master), from: optimizer.moments)
        optimizer.moments = [:]
        sliced.optimizer = sharded
        optimizer.step += 1
        let squares = try sharded.squares(gradient)
        try sharded.update(
            gradient, squares: squares, loss: loss.loss, optimizer.hyper(rate: rate, clip: settings.clip))
        task.constrain()
        let culprit = squares.firstIndex { !$0.isFinite }.map { sum.layout.entries[sum.layout.cells[$0].entry].name }
        return StepResult(
            loss: loss.loss, norm: squares.reduce(0, +).squareRoot(), culprit: culprit, task.model)
    }

    /// The optimiser with the moments of whole parameters, at rank 0; collective.
    package func gatheredOptimizer() throws -> AdamW {
        guard let sharded = sliced.optimizer else { return optimizer }
        var whole = optimizer
        whole.moments = try sharded.gathered()
        return whole
    }
}

/// The slices of a batch, with what they are encoded to.
private final class SlicedBatch {
    let size: Int
    let count: Int
    private let model: DualEncoder
    private let parts: [PairBatch]
    /// Whether the values of all slices are kept for the backward pass, or made again for it one slice at a time.
    private let isRecorded: Bool
    private let statistics: SliceStatistics
    private var texts: [Tensor] = []
    private var images: [Tensor] = []

    init(_ model: DualEncoder, _ batch: PairBatch, count: Int, isRecorded: Bool, _ statistics: SliceStatistics) {
        (self.model, self.count, self.isRecorded, self.statistics) = (model, count, isRecorded, statistics)
        size = batch.count / count
        parts = (0..<count).map { [size] in batch.slice($0 * size..<($0 + 1) * size) }
    }

    /// [b,E], unit rows
    func encodeTexts() -> Tensor { encode(&texts) { model.encode(texts: $0.texts) } }

    /// [b,E], unit rows
    func encodeImages() -> Tensor { encode(&images, encode(imagesOf:)) }

    private func encode(imagesOf part: PairBatch) -> Tensor {
        statistics.beginSlice()
        return model.encode(images: part.images.values)
    }

    private func encode(_ kept: inout [Tensor], _ encode: (PairBatch) -> Tensor) -> Tensor {
        guard isRecorded else { return withoutTape { concatenate(parts.map(encode)) } }
        kept = parts.map(encode)
        return concatenate(kept.map(\.detached))
    }

    /// Sends a slice's gradients back; those of the texts first.
    func backward(_ slice: Int, _ loss: GatheredLoss.Result) {
        let rows = slice * size..<(slice + 1) * size
        let text = isRecorded ? texts[slice] : model.encode(texts: parts[slice].texts)
        text.backward(loss.dTexts.slice(rows))
        let image = isRecorded ? images[slice] : encode(imagesOf: parts[slice])
        image.backward(loss.dImages.slice(rows))
    }
}
