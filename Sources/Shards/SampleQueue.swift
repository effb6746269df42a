import Foundation
import Support

/// Batches in their order, prepared ahead by threads that end with their owner's `end()`.
///
/// The order goes on from epoch to epoch, so that the next one's first samples are ready when this one ends. Which sample
/// has which slot of which batch is known before any is read.
final class SampleQueue: @unchecked Sendable {
    /// The slots of a batch that this process fills.
    struct Filled {
        /// Where the batch begins.
        let position: DataPosition
        /// Of the whole batch, other processes' slots among them.
        let size: Int
        let pixels: HostBytes
        /// By slot of this process.
        var slots: [Result<PreparedSample, SampleError>]
        /// Of samples whose slots others have taken.
        var faults: [SampleError]
    }

    private struct Open {
        var filled: Filled
        var missing: Int
    }

    private let reader: SampleReader
    private let isEndless: Bool
    private let lookAhead: Int
    private let share: Range<Int>
    private let condition = NSCondition()
    // Guarded by the condition.
    private var samples: EpochSamples
    private var position: DataPosition
    private var batches: [Int: Open] = [:]
    private var begun = 0
    private var taken = 0
    /// Slots of this process that nobody has begun: (slot, sample, its position), of the newest batch.
    private var waiting: [(slot: Int, reference: SampleReference, position: DataPosition)] = []
    private var isOver = false
    private var hasEnded = false
    private var failure: (any Error)?

    /// - Parameters:
    ///   - share: the slots of each batch that this process fills
    ///   - isEndless: full batches alone, epoch after epoch, another sample in a faulty one's slot; otherwise one epoch with
    ///     what is left, faulty ones left out
    ///   - lookAhead: batches that may be prepared before they are asked for
    /// - Throws: `Failure(.machine)` when the system refuses threads, `Failure(.io)` when an index cannot be read
    init(_ reader: SampleReader, from position: DataPosition, share: Range<Int>, isEndless: Bool, lookAhead: Int) throws
    {
        (self.reader, self.position, self.isEndless, self.lookAhead) = (reader, position, isEndless, lookAhead)
        self.share = share
        samples = reader.order.samples(of: position.epoch)
        for _ in 0..<position.taken where try samples.next() == nil { break }
        for _ in 0..<max(1, reader.plan.threads) {
            do {
                // The threads hold the queue, and nobody else's end waits for them.
                try WorkerThread(stack: 4 << 20) { while self.work() {} }.detach()
            } catch {
                end()
                throw error
            }
        }
    }

    func end() {
        condition.lock()
        isOver = true
        condition.broadcast()
        condition.unlock()
    }

    /// nil where the epoch ends and no other follows, or no epoch fills a batch.
    ///
    /// - Throws: `Failure(.io)` when an index can no longer be read
    func take() throws -> Filled? {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let batch = batches[taken], batch.missing == 0 {
                batches[taken] = nil
                taken += 1
                condition.broadcast()
                return batch.filled
            }
            if let failure, taken == begun { throw failure }
            if hasEnded, taken == begun { return nil }
            condition.wait()
        }
    }

    private func work() -> Bool {
        condition.lock()
        while !isOver, waiting.isEmpty, hasEnded || failure != nil || begun >= taken + lookAhead { condition.wait() }
        guard !isOver else {
            condition.unlock()
            return false
        }
        if waiting.isEmpty { begin() }
        guard !waiting.isEmpty, let pixels = batches[begun - 1]?.filled.pixels else {
            condition.broadcast()
            condition.unlock()
            return true
        }
        let (number, (slot, reference, place)) = (begun - 1, waiting.removeFirst())
        condition.unlock()
        let size = reader.imageSize
        let (result, faults) = fill(reference, at: place, into: pixels.part(slot * size..<(slot + 1) * size))
        condition.lock()
        batches[number]?.filled.slots[slot] = result
        batches[number]?.filled.faults += faults
        batches[number]?.missing -= 1
        condition.broadcast()
        condition.unlock()
        return true
    }

    /// A sample, or what takes its place.
    private func fill(
        _ reference: SampleReference, at position: DataPosition, into pixels: UnsafeMutableRawBufferPointer
    ) -> (Result<PreparedSample, SampleError>, faults: [SampleError]) {
        var faults: [SampleError] = []
        var (current, attempt) = (reference, 0)
        while true {
            let result = reader.read(current, at: position, into: pixels)
            guard isEndless, case .failure(let error) = result, !error.isOfShard else { return (result, faults) }
            attempt += 1
            guard attempt < SampleReader.attempts,
                let next = try? reader.replacement(for: reference, at: position, attempt: attempt)
            else { return (result, faults) }
            faults.append(error)
            current = next
        }
    }

    /// Draws the samples of the next batch; an epoch's last ones that fill none are dropped with it.
    private func begin() {
        do {
            var isFirst = true
            while true {
                var drawn: [SampleReference] = []
                while drawn.count < reader.plan.size, let reference = try samples.next() { drawn.append(reference) }
                if drawn.count == reader.plan.size || (!isEndless && !drawn.isEmpty) { return begin(drawn) }
                // An epoch without a batch is followed by none.
                guard isEndless, isFirst || position.taken > 0 else { break }
                isFirst = false
                position = DataPosition(epoch: position.epoch + 1)
                samples = reader.order.samples(of: position.epoch)
            }
            hasEnded = true
        } catch { failure = error }
    }

    private func begin(_ drawn: [SampleReference]) {
        let mine = share.clamped(to: 0..<drawn.count)
        let empty = Result<PreparedSample, SampleError>.failure(SampleError(fault: .noImage(""), place: ""))
        let filled = Filled(
            position: position, size: drawn.count, pixels: HostBytes(count: mine.count * reader.imageSize),
            slots: mine.map { _ in empty }, faults: [])
        batches[begun] = Open(filled: filled, missing: mine.count)
        begun += 1
        waiting = mine.enumerated().map { slot, index in
            (slot, drawn[index], DataPosition(epoch: position.epoch, taken: position.taken + index))
        }
        position.taken += drawn.count
        condition.broadcast()
    }
}

extension SampleError {
    /// Whether it is no sample's fault.
    var isOfShard: Bool { if case .shard = fault { true } else { false } }
}
