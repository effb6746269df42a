import Foundation
import Synchronization

/// A thread of our own. Foundation and libdispatch wait for ever when the system refuses a thread; this says so.
package final class WorkerThread: @unchecked Sendable {
    private let handle: pthread_t

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// - Parameter stack: bytes
    /// - Throws: `Failure(.machine)` when the system refuses
    package init(stack: Int = 1 << 20, _ body: @escaping @Sendable () -> Void) throws {
        // Its own initialiser belongs to a module that cannot be imported by name.
        let attributes = UnsafeMutablePointer<pthread_attr_t>.allocate(capacity: 1)
        defer { attributes.deallocate() }
        pthread_attr_init(attributes)
        defer { pthread_attr_destroy(attributes) }
        pthread_attr_setstacksize(attributes, stack)
        let box = Unmanaged.passRetained(Body(body))
        var made = pthread_t()
        let code = pthread_create(
            &made, attributes,
            { raw in
                let body = raw.map { Unmanaged<Body>.fromOpaque($0).takeRetainedValue() }
                body?.run()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw Failure(
                .machine, "threads", "the system refuses another thread: \(String(cString: strerror(code)))",
                remedy: "Raise ulimit -u or -v, or ask for fewer threads")
        }
        handle = made
    }

    /// Waits until the body has returned.
    package func join() { pthread_join(handle, nil) }

    /// Lets the thread end by itself.
    package func detach() { pthread_detach(handle) }
}

/// body(0) ... body(count - 1) on all cores, the calling thread among them; fewer threads where the system refuses more.
package func inParallel(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let turns = Turns()
    withoutActuallyEscaping(body) { body in
        let work: @Sendable () -> Void = {
            while true {
                let index = turns.next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                body(index)
            }
        }
        let helpers = (0..<max(0, min(count, Machine.coreCount) - 1)).compactMap { _ in
            try? WorkerThread(stack: 4 << 20, work)
        }
        work()
        for helper in helpers { helper.join() }
    }
}

private final class Turns: Sendable {
    let next = Atomic<Int>(0)
}
