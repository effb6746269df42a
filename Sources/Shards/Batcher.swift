import Foundation
import Images
import Support
import Tokenization

/// One batch as the model takes it.
package struct Batch: Sendable {
    /// [B,3,H,W]
    package let images: [Float]
    /// [B,T]
    package let tokens: [Int32]
    package let keys: [String]
    /// The caption drawn for each image.
    package let captions: [String]
    package var count: Int { keys.count }
}

/// How samples become batches.
package struct BatchPlan: Sendable {
    package var size: Int
    package var preprocess: Preprocess
    /// nil: the evaluation transform
    package var augmentation: Augmentation?
    package var decode: DecodeMode
    package var conversion: ImageConversion
    package var contextLength: Int
    package var fields: SampleFields
    package var threads: Int
    /// Faulty samples that are tolerated, as a share of those seen.
    package var largestFaultShare: Double

    package init(
        size: Int, preprocess: Preprocess, augmentation: Augmentation?, decode: DecodeMode = .exact,
        conversion: ImageConversion = .rgbFirst, contextLength: Int,
        fields: SampleFields = SampleFields(), threads: Int = 1, largestFaultShare: Double = 0.1
    ) {
        self.size = size
        self.preprocess = preprocess
        self.augmentation = augmentation
        self.decode = decode
        self.conversion = conversion
        self.contextLength = contextLength
        self.fields = fields
        self.threads = threads
        self.largestFaultShare = largestFaultShare
    }
}

/// Where the next batch begins. Saved with a checkpoint, it continues the same sequence.
package struct DataPosition: Sendable, Equatable {
    package var epoch = 0
    /// Samples of this epoch's order already taken, faulty ones included.
    package var taken = 0
    package init(epoch: Int = 0, taken: Int = 0) {
        self.epoch = epoch
        self.taken = taken
    }
}

/// Makes batches on threads of its own. Which samples, in which order and with which augmentation depends
/// on (seed, epoch, sample) alone, never on the threads.
package final class Batcher: @unchecked Sendable {
    private let order: SampleOrder
    private let plan: BatchPlan
    private let tokenizer: any Tokenizer
    private let condition = NSCondition()
    /// Where the consumer stands.
    package private(set) var position: DataPosition
    package private(set) var faults: FaultTally
    /// Seconds spent waiting for samples, of all batches so far.
    package private(set) var waited = 0.0

    // Guarded by the condition.
    private var epochOrder: [SampleReference] = []
    private var epoch = -1
    private var nextIndex = 0
    private var ready: [Int: Result<Prepared, SampleError>] = [:]
    private var isStopped = false
    private let lookAhead: Int

    private struct Prepared: Sendable {
        let key: String
        let caption: String
        let image: [Float]
        let tokens: [Int32]
    }

    private struct SampleError: Error {
        let fault: SampleFault
        let place: String
    }

    /// - Parameter faults: of the batches before, when a run goes on
    /// - Throws: `Failure(.machine)` when the system refuses threads
    package init(
        _ order: SampleOrder, _ plan: BatchPlan, tokenizer: any Tokenizer, from position: DataPosition = DataPosition(),
        faults: FaultTally = FaultTally()
    ) throws {
        self.order = order
        self.faults = faults
        self.plan = plan
        self.tokenizer = tokenizer
        self.position = position
        lookAhead = plan.size * 3
        open(position)
        for _ in 0..<max(1, plan.threads) {
            do {
                let thread = try WorkerThread(stack: 4 << 20) { [weak self] in
                    while let batcher = self, batcher.work() {}
                }
                thread.detach()
            } catch {
                stop()
                throw error
            }
        }
    }

    deinit { stop() }

    /// Ends the threads.
    package func stop() {
        condition.lock()
        isStopped = true
        condition.broadcast()
        condition.unlock()
    }

    /// Batches in one epoch when no sample is faulty; the last partial one is dropped.
    package var batchesPerEpoch: Int { order.count / plan.size }

    private func open(_ position: DataPosition) {
        epoch = position.epoch
        epochOrder = order.epoch(position.epoch)
        nextIndex = position.taken
        ready = [:]
    }

    /// The next full batch.
    ///
    /// - Throws: `Failure(.badData)` when more samples are faulty than the plan tolerates.
    package func next() throws -> Batch {
        let start = Machine.now()
        var samples: [Prepared] = []
        samples.reserveCapacity(plan.size)
        var emptyPasses = 0
        while samples.count < plan.size {
            if position.taken >= epochOrder.count {
                // A partial batch is dropped with its epoch.
                emptyPasses += 1
                guard emptyPasses < 3 else {
                    throw Failure(
                        .badData, "data", "an epoch has too few usable samples for one batch of \(plan.size)",
                        remedy: ["Faults: \(faults.summary)", SampleFault.remedy(faults.counts.keys)]
                            .filter { !$0.isEmpty }.joined(separator: ". "))
                }
                samples = []
                condition.lock()
                position = DataPosition(epoch: position.epoch + 1)
                open(position)
                condition.broadcast()
                condition.unlock()
                continue
            }
            switch take(position.taken) {
            case .success(let sample): samples.append(sample)
            case .failure(let error): try count(error)
            }
            faults.seen += 1
        }
        waited += Machine.now() - start
        return batch(of: samples)
    }

    /// The next batch of this epoch, the last one with what is left; nil when nothing is.
    ///
    /// - Throws: as `next`
    package func nextOfEpoch() throws -> Batch? {
        var samples: [Prepared] = []
        while samples.count < plan.size, position.taken < epochOrder.count {
            switch take(position.taken) {
            case .success(let sample): samples.append(sample)
            case .failure(let error): try count(error)
            }
            faults.seen += 1
        }
        return samples.isEmpty ? nil : batch(of: samples)
    }

    private func batch(of samples: [Prepared]) -> Batch {
        var images = [Float]()
        images.reserveCapacity(samples.count * samples[0].image.count)
        for sample in samples { images.append(contentsOf: sample.image) }
        return Batch(
            images: images, tokens: samples.flatMap(\.tokens), keys: samples.map(\.key),
            captions: samples.map(\.caption))
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

    private func take(_ index: Int) -> Result<Prepared, SampleError> {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let result = ready.removeValue(forKey: index) {
                position.taken += 1
                condition.broadcast()
                return result
            }
            condition.wait()
        }
    }

    private func work() -> Bool {
        condition.lock()
        while !isStopped, nextIndex >= epochOrder.count || nextIndex >= position.taken + lookAhead { condition.wait() }
        guard !isStopped else {
            condition.unlock()
            return false
        }
        let (index, epoch, reference) = (nextIndex, self.epoch, epochOrder[nextIndex])
        nextIndex += 1
        condition.unlock()
        let result = prepare(reference, epoch: epoch, position: index)
        condition.lock()
        if epoch == self.epoch {
            ready[index] = result
            condition.broadcast()
        }
        condition.unlock()
        return true
    }

    private func prepare(_ reference: SampleReference, epoch: Int, position: Int) -> Result<Prepared, SampleError> {
        let shard = order.sources[reference.source].shards[reference.shard]
        let sample = shard.samples[reference.index]
        do throws(SampleFault) {
            var random = RandomStream(
                seed: order.seed, purpose: "augment \(sample.key)", epoch: epoch, sample: position)
            let captions = try shard.captions(sample, plan.fields)
            let caption = captions[random.integer(below: captions.count)]
            let (width, height) = (plan.preprocess.width, plan.preprocess.height)
            let ready: PixelImage
            if let augmentation = plan.augmentation {
                let data = try shard.imageData(sample)
                do {
                    ready = try augmentation(
                        decoding: data, plan.decode, plan.conversion, width: width, height: height,
                        plan.preprocess.filter, &random)
                } catch { throw .image(error) }
            } else {
                ready = plan.preprocess.geometry(
                    try shard.image(
                        sample, plan.conversion, shortest: plan.decode.shortest(width: width, height: height)))
            }
            let count = 3 * width * height
            let floats = [Float](unsafeUninitializedCapacity: count) { buffer, filled in
                plan.preprocess.normalized(ready, into: buffer.baseAddress!)
                filled = count
            }
            return .success(
                Prepared(
                    key: sample.key, caption: caption, image: floats,
                    tokens: tokenizer.row(caption, contextLength: plan.contextLength)))
        } catch {
            return .failure(SampleError(fault: error, place: "\(shard.path): \(sample.key)"))
        }
    }
}
