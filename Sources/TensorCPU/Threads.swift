import Foundation
import Support
import Synchronization

/// A fixed team of threads that share out the tiles of one kernel at a time.
///
/// Which thread takes which tile is left to chance, so a tile's boundaries and its arithmetic must
/// depend on the shape alone: then the bits are the same for any number of threads.
final class Threads: Sendable {
    /// The calling thread among them. Fewer than asked for where the system refuses more: results do not depend on it.
    let count: Int
    private let team = Team()
    /// One kernel at a time, whichever thread asks.
    private let turn = NSLock()

    init(count: Int) {
        var started = 1
        for _ in 1..<max(1, count) {
            guard let thread = try? WorkerThread({ [team] in team.work() }) else { break }
            thread.detach()
            started += 1
        }
        self.count = started
    }

    deinit { team.end() }

    /// Runs body(0) ... body(tiles - 1), on the calling thread too, and returns when all are done.
    /// Calls do not nest.
    func each(_ tiles: Int, _ body: (Int) -> Void) {
        guard count > 1, tiles > 1 else {
            for tile in 0..<tiles { body(tile) }
            return
        }
        turn.lock()
        defer { turn.unlock() }
        team.share(tiles, body)
    }

    /// The same over ranges of `size` out of `total`.
    func each(_ total: Int, by size: Int, _ body: (Range<Int>) -> Void) {
        each((total + size - 1) / size) { body($0 * size..<min(total, ($0 + 1) * size)) }
    }
}

/// What the threads of a team share; they hold it, and not the team's owner, so that they end with it.
private final class Team: @unchecked Sendable {
    private let condition = NSCondition()
    private let generation = Atomic<Int>(0)
    private let nextTile = Atomic<Int>(0)
    private let busy = Atomic<Int>(0)
    // Guarded by the condition.
    private var job: (tiles: Int, body: UnsafePointer<(Int) -> Void>)?
    private var isOver = false

    /// Workers see the closure through a pointer, so that none of them can keep it.
    func share(_ tiles: Int, _ body: (Int) -> Void) {
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

    func end() {
        condition.lock()
        isOver = true
        generation.wrappingAdd(1, ordering: .releasing)
        condition.broadcast()
        condition.unlock()
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
    func work() {
        var seen = 0
        while true {
            for _ in 0..<2000 where generation.load(ordering: .acquiring) == seen { pause() }
            condition.lock()
            while generation.load(ordering: .relaxed) == seen { condition.wait() }
            seen = generation.load(ordering: .relaxed)
            let (current, isOver) = (job, isOver)
            if current != nil { busy.wrappingAdd(1, ordering: .relaxed) }
            condition.unlock()
            if isOver { return }
            if let current {
                take(current.tiles, current.body)
                busy.wrappingSubtract(1, ordering: .releasing)
            }
        }
    }

    private func pause() { _ = busy.load(ordering: .relaxed) }
}
