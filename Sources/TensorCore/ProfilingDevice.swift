import Synchronization

/// Another device with a clock around every call: the device's own where it queues, else the host's.
package final class ProfilingDevice: Device {
    /// What the calls of one kernel (a product: of one shape) came to.
    package struct Entry: Sendable {
        package var calls = 0
        package var seconds = 0.0
        package var flops = 0
        package var bytes = 0
    }

    private struct Record {
        var entries: [String: Entry] = [:]
        /// Of calls that the device may not have come to.
        var queued: [(name: String, start: any TimeMark, end: any TimeMark)] = []
        var marksCalls = true
        var waits = 0
        var kinds: [ObjectIdentifier: any KernelCall.Type] = [:]
    }

    private let inner: any Device
    private let record = Mutex(Record())

    package init(_ inner: any Device) { self.inner = inner }

    /// What was recorded since the last call, by kernel, and how often the host waited for the device. Waits itself.
    package func take() -> (entries: [String: Entry], waits: Int) {
        record.withLock { record in
            for call in record.queued { record.entries[call.name]?.seconds += call.end.seconds(since: call.start) }
            record.queued = []
            defer { (record.entries, record.waits) = ([:], 0) }
            return (record.entries, record.waits)
        }
    }

    /// Whether calls of a device that queues are timed, at two marks each, or only counted.
    package func marksCalls(_ does: Bool) { record.withLock { $0.marksCalls = does } }

    /// The kinds of calls there have been.
    package var kinds: [any KernelCall.Type] { record.withLock { Array($0.kinds.values) } }

    private func timed<Result>(_ name: String, flops: Int = 0, bytes: Int = 0, _ body: () -> Result) -> Result {
        let start = ContinuousClock.now
        let result = body()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        record.withLock { record in
            var entry = record.entries[name, default: Entry()]
            entry.calls += 1
            entry.seconds += seconds
            entry.flops += flops
            entry.bytes += bytes
            record.entries[name] = entry
        }
        return result
    }

    private func waiting<Result>(_ name: String, _ body: () -> Result) -> Result {
        record.withLock { $0.waits += 1 }
        return timed(name, body)
    }

    package var name: String { inner.name }
    package var failure: DeviceFailure? { inner.failure }
    package var peakMemory: Int? { inner.peakMemory }
    package var isHostMemory: Bool { inner.isHostMemory }
    package func mark() -> (any TimeMark)? { inner.mark() }

    package func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer {
        timed("allocate") { inner.allocate(element, count: count) }
    }

    package func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int) {
        inner.release(address, element, count: count)
    }

    package func upload(_ values: UnsafeRawBufferPointer, into y: Tensor) {
        timed("upload", bytes: values.count) { inner.upload(values, into: y) }
    }

    package func withValues(of x: Tensor, _ body: (UnsafeRawBufferPointer) -> Void) {
        waiting("with values") { inner.withValues(of: x, body) }
    }

    package func read(_ scalars: [Tensor]) -> Pending {
        let pending = inner.read(scalars)
        return Pending { [self] in waiting("read") { pending.wait() } }
    }

    package func fence() { waiting("fence") { inner.fence() } }

    package func run(_ kernel: Kernel) {
        let call = kernel.call
        let kind = type(of: call)
        let marksCalls = record.withLock { record in
            record.kinds[ObjectIdentifier(kind)] = kind
            return record.marksCalls
        }
        guard marksCalls else {
            count(call)
            return inner.run(kernel)
        }
        guard let start = inner.mark() else {
            return timed(call.name, flops: call.flops, bytes: call.bytes) { inner.run(kernel) }
        }
        inner.run(kernel)
        guard let end = inner.mark() else { return }
        count(call)
        record.withLock { $0.queued.append((call.name, start, end)) }
    }

    private func count(_ call: any KernelCall) {
        record.withLock { record in
            var entry = record.entries[call.name, default: Entry()]
            (entry.calls, entry.flops, entry.bytes) =
                (entry.calls + 1, entry.flops + call.flops, entry.bytes + call.bytes)
            record.entries[call.name] = entry
        }
    }

    package func supports(_ call: any KernelCall.Type, _ element: Element) -> Bool { inner.supports(call, element) }
}
