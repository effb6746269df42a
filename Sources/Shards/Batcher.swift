import Foundation
import Images
import Support
package import Tokenization

/// Makes batches on threads of its own. Which samples, in which slots and with which augmentation depends on
/// (seed, epoch, position) alone, never on the threads, nor on how many processes share a batch.
package final class Batcher {
    private let plan: BatchPlan
    private let queue: SampleQueue
    /// Where the next batch begins.
    package private(set) var position: DataPosition
    /// Of all processes, as far as they were put together.
    package private(set) var faults: FaultTally
    /// Of this process since then.
    private var fresh = FaultTally()
    /// Good samples of one pass that no batch has yet.
    private var held: [(sample: PreparedSample, pixels: HostBytes, slot: Int)] = []
    /// Seconds spent waiting for samples, of all batches so far.
    package private(set) var waited = 0.0

    /// - Parameters:
    ///   - faults: of the batches before, when a run goes on
    ///   - share: the slots of each batch that this process fills; nil: all
    ///   - isEndless: whether batches go on into the next epoch, all of them full: another sample takes a faulty one's slot
    /// - Throws: `Failure(.machine)` when the system refuses threads
    package init(
        _ order: SampleOrder, _ plan: BatchPlan, tokenizer: any Tokenizer, from position: DataPosition = DataPosition(),
        faults: FaultTally = FaultTally(), share: Range<Int>? = nil, isEndless: Bool = true
    ) throws {
        (self.plan, self.faults, self.position) = (plan, faults, position)
        queue = try SampleQueue(
            SampleReader(order: order, plan: plan, tokenizer: tokenizer), from: position,
            share: share ?? 0..<plan.size, isEndless: isEndless, lookAhead: 4)
    }

    deinit { stop() }

    /// Ends the threads.
    package func stop() { queue.end() }

    /// The next full batch, its faults in `takeFaults`.
    ///
    /// - Throws: `Failure(.badData)` when no sample can be had for a slot, or an epoch fills no batch
    package func next() throws -> Batch {
        let start = Machine.now()
        guard let filled = try queue.take() else { throw tooFew }
        waited += Machine.now() - start
        let samples = try count(filled)
        guard samples.count == filled.slots.count else {
            try settle(takeFaults())
            throw tooFew
        }
        return batch(of: samples.map(\.sample), filled.pixels)
    }

    /// The next batch of this epoch, faulty samples left out, the last one with what is left; nil when nothing is.
    ///
    /// - Throws: `Failure(.badData)` when more samples are faulty than the plan tolerates
    package func nextOfEpoch() throws -> Batch? {
        while held.count < plan.size, let filled = try queue.take() {
            held += try count(filled).map { ($0.sample, filled.pixels, $0.slot) }
            try settle(takeFaults())
        }
        let samples = held.prefix(plan.size)
        held.removeFirst(samples.count)
        guard !samples.isEmpty else { return nil }
        let size = plan.preprocess.width * plan.preprocess.height * 3
        let pixels = HostBytes(count: samples.count * size)
        for (place, sample) in samples.enumerated() {
            let image = UnsafeRawBufferPointer(
                rebasing: sample.pixels.bytes[sample.slot * size..<(sample.slot + 1) * size])
            pixels.part(place * size..<(place + 1) * size).copyMemory(from: image)
        }
        return batch(of: samples.map(\.sample), pixels)
    }

    /// The good samples of a batch; the others are counted.
    private func count(_ filled: SampleQueue.Filled) throws -> [(slot: Int, sample: PreparedSample)] {
        position = DataPosition(epoch: filled.position.epoch, taken: filled.position.taken + filled.size)
        var good: [(slot: Int, sample: PreparedSample)] = []
        var errors = filled.faults
        for (slot, result) in filled.slots.enumerated() {
            switch result {
            case .success(let sample): good.append((slot, sample))
            case .failure(let error): errors.append(error)
            }
        }
        fresh.seen += good.count + errors.count
        for error in errors.sorted(by: { $0.place < $1.place }) {
            if case .shard(let failure) = error.fault { throw failure }
            fresh.add(error.fault.reason, example: "\(error.place): \(error.fault)")
        }
        return good
    }

    private func batch(of samples: [PreparedSample], _ pixels: HostBytes) -> Batch {
        Batch(
            pixels: pixels, height: plan.preprocess.height, width: plan.preprocess.width,
            tokens: samples.map(\.tokens), keys: samples.map(\.key), captions: samples.map(\.caption))
    }

    /// Of this process, since the last call.
    package func takeFaults() -> FaultTally {
        defer { fresh = FaultTally() }
        return fresh
    }

    /// Adds what was seen since the last call, in all processes.
    ///
    /// - Throws: `Failure(.badData)` when more samples are faulty than the plan tolerates
    package func settle(_ seen: FaultTally) throws {
        faults.add(seen)
        // A few bad samples early on are no trend.
        guard faults.total >= 10, Double(faults.total) > plan.largestFaultShare * Double(faults.seen) else { return }
        throw Failure(
            .badData, "data", "\(faults.total) of \(faults.seen) samples are faulty: \(faults.summary)",
            remedy: [SampleFault.remedy(faults.counts.keys), "Raise data.largest_fault_share if that is expected"]
                .filter { !$0.isEmpty }.joined(separator: ". "))
    }

    private var tooFew: Failure {
        Failure(
            .badData, "data", "an epoch has too few usable samples for one batch of \(plan.size)",
            remedy: ["Faults: \(faults.summary)", SampleFault.remedy(faults.counts.keys)]
                .filter { !$0.isEmpty }.joined(separator: ". "))
    }
}
