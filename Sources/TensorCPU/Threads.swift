import Foundation
import Synchronization

/// A fixed team of threads that share out the tiles of one kernel at a time.
///
/// Which thread takes which tile is left to chance, so a tile's boundaries and its arithmetic must
/// depend on the shape alone: then the bits are the same for any number of threads.
final class Threads: @unchecked Sendable {
    let count: Int
    private let condition = NSCondition()
    /// One kernel at a time, whichever thread asks.
    private let turn = NSLock()
    private let generation = Atomic<Int>(0)
    private let nextTile = Atomic<Int>(0)
    private let busy = Atomic<Int>(0)
    private var job: (tiles: Int, body: UnsafePointer<(Int) -> Void>)?

    init(count: Int) {
        self.count = max(1, count)
        for _ in 1..<self.count {
            let thread = Thread { [weak self] in
                var seen = 0
                while let team = self, team.work(&seen) {}
            }
            thread.stackSize = 1 << 20
            thread.start()
        }
    }

    /// Runs body(0) ... body(tiles - 1), on the calling thread too, and returns when all are done.
    /// Calls do not nest.
    func each(_ tiles: Int, _ body: (Int) -> Void) {
        guard count > 1, tiles > 1 else {
            for tile in 0..<tiles { body(tile) }
            return
        }
        // Workers see the closure through a pointer, so that none of them can keep it.
        turn.lock()
        defer { turn.unlock() }
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: body) { body in
                condition.lock()
                job = (tiles, body)
                nextTile.store(0, ordering: .relaxed)
                generation.wrappingAdd(1, ordering: .releasing)
                condition.broadcast()
                condition.unlock()
                take(tiles, body)
                // A worker that is still asleep finds no job; one that has begun is waited for.
                condition.lock()
                job = nil
                condition.unlock()
                while busy.load(ordering: .acquiring) > 0 { pause() }
            }
        }
    }

    /// The same over ranges of `size` out of `total`.
    func each(_ total: Int, by size: Int, _ body: (Range<Int>) -> Void) {
        each((total + size - 1) / size) { body($0 * size..<min(total, ($0 + 1) * size)) }
    }

    @inline(never)
    private func take(_ tiles: Int, _ body: UnsafePointer<(Int) -> Void>) {
        while true {
            let tile = nextTile.wrappingAdd(1, ordering: .relaxed).oldValue
            guard tile < tiles else { return }
            body.pointee(tile)
        }
    }

    /// Kernels follow each other closely: a short watch before sleeping saves most wake-ups.
    private func work(_ seen: inout Int) -> Bool {
        for _ in 0..<2000 where generation.load(ordering: .acquiring) == seen { pause() }
        condition.lock()
        while generation.load(ordering: .relaxed) == seen { condition.wait() }
        seen = generation.load(ordering: .relaxed)
        let current = job
        if current != nil { busy.wrappingAdd(1, ordering: .relaxed) }
        condition.unlock()
        if let current {
            take(current.tiles, current.body)
            busy.wrappingSubtract(1, ordering: .releasing)
        }
        return true
    }

    private func pause() { _ = busy.load(ordering: .relaxed) }
}
