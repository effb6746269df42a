import Foundation
import Support
import Synchronization

/// Bytes under way. The buffers of the call belong to it until `wait` returns.
package final class Transfer: @unchecked Sendable {
    package static let done = Transfer(isOver: true)

    private let condition = NSCondition()
    private let clock: WaitClock?
    // Guarded by the condition.
    private var isOver: Bool
    private var failure: (any Error)?

    /// - Parameter clock: counts what is waited for here
    package init(isOver: Bool = false, clock: WaitClock? = nil) { (self.isOver, self.clock) = (isOver, clock) }

    /// - Throws: `Failure(.machine)` when the engine gave up
    package func wait() throws {
        condition.lock()
        defer { condition.unlock() }
        guard !isOver else { return try check() }
        let start = Machine.now()
        while !isOver { condition.wait() }
        clock?.add(Machine.now() - start)
        try check()
    }

    private func check() throws {
        if let failure { throw failure }
    }

    package func end(_ failure: (any Error)? = nil) {
        condition.lock()
        (isOver, self.failure) = (true, failure)
        condition.broadcast()
        condition.unlock()
    }
}

/// Seconds that were waited for other processes.
package final class WaitClock: Sendable {
    private let total = Mutex(0.0)
    package init() {}
    package var seconds: Double { total.withLock { $0 } }
    func add(_ seconds: Double) { total.withLock { $0 += seconds } }
}

/// Ends this process at once, as a signal would: other threads may hold anything.
func endProcess(_ code: Int32) -> Never { _exit(code) }
