import Foundation
import Images
import Support
package import Tokenization

/// Makes batches on threads of its own. Which samples, in which order and with which augmentation depends
/// on (seed, epoch, sample) alone, never on the threads.
package final class Batcher {
    private let plan: BatchPlan
    private let queue: SampleQueue
    /// Where the next batch begins.
    package private(set) var position: DataPosition
    package private(set) var faults: FaultTally
    /// Seconds spent waiting for samples, of all batches so far.
    package private(set) var waited = 0.0
    /// An item of the next epoch that was met when this one ended.
    private var pending: SampleQueue.Item?

    /// - Parameters:
    ///   - faults: of the batches before, when a run goes on
    ///   - isEndless: whether batches go on into the next epoch
    /// - Throws: `Failure(.machine)` when the system refuses threads
    package init(
        _ order: SampleOrder, _ plan: BatchPlan, tokenizer: any Tokenizer, from position: DataPosition = DataPosition(),
        faults: FaultTally = FaultTally(), isEndless: Bool = true
    ) throws {
        (self.plan, self.faults, self.position) = (plan, faults, position)
        queue = try SampleQueue(
            SampleReader(order: order, plan: plan, tokenizer: tokenizer), from: position, isEndless: isEndless,
            lookAhead: plan.size * 3)
    }

    deinit { stop() }

    /// Ends the threads.
    package func stop() { queue.end() }

    /// The next full batch.
    ///
    /// - Throws: `Failure(.badData)` when more samples are faulty than the plan tolerates, or an epoch fills no batch
    package func next() throws -> Batch {
        let start = Machine.now()
        var samples: [PreparedSample] = []
        samples.reserveCapacity(plan.size)
        var emptyPasses = 0
        while samples.count < plan.size {
            guard let item = try pending ?? queue.take() else { throw tooFew }
            pending = nil
            if item.position.epoch != position.epoch {
                // A partial batch is dropped with its epoch.
                emptyPasses += 1
                guard emptyPasses < 3 else { throw tooFew }
                samples = []
            }
            try add(item, to: &samples)
        }
        waited += Machine.now() - start
        return batch(of: samples)
    }

    /// The next batch of this epoch, the last one with what is left; nil when nothing is.
    ///
    /// - Throws: as `next`
    package func nextOfEpoch() throws -> Batch? {
        var samples: [PreparedSample] = []
        while samples.count < plan.size, let item = try pending ?? queue.take() {
            pending = nil
            guard item.position.epoch == position.epoch else {
                pending = item
                break
            }
            try add(item, to: &samples)
        }
        return samples.isEmpty ? nil : batch(of: samples)
    }

    private func add(_ item: SampleQueue.Item, to samples: inout [PreparedSample]) throws {
        position = DataPosition(epoch: item.position.epoch, taken: item.position.taken + 1)
        switch item.result {
        case .success(let sample): samples.append(sample)
        case .failure(let error): try count(error)
        }
        faults.seen += 1
    }

    private func batch(of samples: [PreparedSample]) -> Batch {
        let (width, height) = (plan.preprocess.width, plan.preprocess.height)
        let size = width * height * 3
        let pixels = HostBytes(count: samples.count * size)
        for (index, sample) in samples.enumerated() {
            pixels.part(index * size..<(index + 1) * size).copyBytes(from: sample.image.pixels)
        }
        return Batch(
            pixels: pixels, height: height, width: width, tokens: samples.map(\.tokens), keys: samples.map(\.key),
            captions: samples.map(\.caption))
    }

    private var tooFew: Failure {
        Failure(
            .badData, "data", "an epoch has too few usable samples for one batch of \(plan.size)",
            remedy: ["Faults: \(faults.summary)", SampleFault.remedy(faults.counts.keys)]
                .filter { !$0.isEmpty }.joined(separator: ". "))
    }

    private func count(_ error: SampleError) throws {
        if case .shard(let failure) = error.fault { throw failure }
        faults.add(error.fault.reason, example: "\(error.place): \(error.fault)")
        // A few bad samples early on are no trend.
        guard faults.total >= 10, Double(faults.total) > plan.largestFaultShare * Double(faults.seen + 1) else {
            return
        }
        throw Failure(
            .badData, "data", "\(faults.total) of \(faults.seen + 1) samples are faulty: \(faults.summary)",
            remedy: [SampleFault.remedy(faults.counts.keys), "Raise data.largest_fault_share if that is expected"]
                .filter { !$0.isEmpty }.joined(separator: ". "))
    }
}
