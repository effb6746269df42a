import Foundation
import Support

/// Samples in their order, prepared ahead by threads that end with their owner's `end()`.
///
/// The order goes on from epoch to epoch, so that the next one's first samples are ready when this one ends.
final class SampleQueue: @unchecked Sendable {
    struct Item {
        let position: DataPosition
        let result: Result<PreparedSample, SampleError>
    }

    private let reader: SampleReader
    private let isEndless: Bool
    private let lookAhead: Int
    private let condition = NSCondition()
    // Guarded by the condition.
    private var samples: EpochSamples
    private var position: DataPosition
    private var issued = 0
    private var taken = 0
    private var ready: [Int: Item] = [:]
    private var isOver = false
    private var hasEnded = false
    private var failure: (any Error)?

    /// - Parameters:
    ///   - isEndless: whether the next epoch follows an epoch's end
    ///   - lookAhead: samples that may be prepared before they are asked for
    /// - Throws: `Failure(.machine)` when the system refuses threads, `Failure(.io)` when an index cannot be read
    init(_ reader: SampleReader, from position: DataPosition, isEndless: Bool, lookAhead: Int) throws {
        (self.reader, self.position, self.isEndless, self.lookAhead) = (reader, position, isEndless, lookAhead)
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

    /// nil where the epoch ends and no other follows.
    ///
    /// - Throws: `Failure(.io)` when an index can no longer be read
    func take() throws -> Item? {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let item = ready.removeValue(forKey: taken) {
                taken += 1
                condition.broadcast()
                return item
            }
            if let failure, taken == issued { throw failure }
            if hasEnded, taken == issued { return nil }
            condition.wait()
        }
    }

    private func work() -> Bool {
        condition.lock()
        while !isOver, hasEnded || failure != nil || issued >= taken + lookAhead { condition.wait() }
        guard !isOver else {
            condition.unlock()
            return false
        }
        guard let (number, reference, place) = issue() else {
            condition.broadcast()
            condition.unlock()
            return true
        }
        condition.unlock()
        let item = Item(position: place, result: reader.read(reference, at: place))
        condition.lock()
        ready[number] = item
        condition.broadcast()
        condition.unlock()
        return true
    }

    private func issue() -> (Int, SampleReference, DataPosition)? {
        do {
            var isFirst = true
            while true {
                if let reference = try samples.next() {
                    defer { (issued, position.taken) = (issued + 1, position.taken + 1) }
                    return (issued, reference, position)
                }
                // An epoch without a sample is followed by none.
                guard isEndless, isFirst || position.taken > 0 else { break }
                isFirst = false
                position = DataPosition(epoch: position.epoch + 1)
                samples = reader.order.samples(of: position.epoch)
            }
            hasEnded = true
        } catch { failure = error }
        return nil
    }
}
