/// What computes: memory, and kernels that run in it.
///
/// Calls may return before the work is done. Work of one device happens in the order of the calls, so memory that was given
/// back may be taken again at once; what reads on the host waits for what was asked before it. A device keeps one promise
/// beyond the arithmetic: the same inputs give the same bits on the same kind of machine, for any number of threads.
package protocol Device: AnyObject, Sendable {
    var name: String { get }

    /// Memory for `count` values, uninitialised.
    func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer
    func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int)
    /// Values in the host's form (`Element.bytes` each) to y. They may be changed as soon as the call returns.
    func upload(_ values: UnsafeRawBufferPointer, into y: Tensor)
    /// The values in the host's form, for the time of the call. Waits.
    func withValues(of x: Tensor, _ body: (UnsafeRawBufferPointer) -> Void)
    /// Single values as they are once what was asked before is done, whatever is asked after; does not wait.
    func read(_ scalars: [Tensor]) -> Pending
    /// Waits until everything that was asked is done.
    func fence()
    /// Whether a tensor's memory is the host's, with values in the host's form.
    var isHostMemory: Bool { get }
    /// The most bytes it has taken of a memory of its own; nil where that is the process's.
    var peakMemory: Int? { get }
    /// A place in the order of its work; nil where calls return when their work is done.
    func mark() -> (any TimeMark)?
    /// Why the device can no longer be used: lost, out of memory. Looked at once a step.
    var failure: DeviceFailure? { get }

    /// Runs one call. Its outputs are allocated by the operations in Ops/; it changes nothing else.
    func run(_ kernel: Kernel)
    /// Whether calls of this kind compute with operands of this element.
    func supports(_ call: any KernelCall.Type, _ element: Element) -> Bool
}

extension Device {
    package func mark() -> (any TimeMark)? { nil }
    package var peakMemory: Int? { nil }
    package var isHostMemory: Bool { false }
}

/// A place in a device's work.
package protocol TimeMark: AnyObject, Sendable {
    /// What the work between an earlier place and this one took. Waits.
    func seconds(since earlier: any TimeMark) -> Double
}

/// What a device says of its own end.
package struct DeviceFailure: Error, Sendable, Equatable {
    package let problem: String
    package let remedy: String
    /// Values can still be read: it has no more memory, and nothing was done since.
    package let keepsValues: Bool

    package init(_ problem: String, remedy: String = "", keepsValues: Bool = true) {
        (self.problem, self.remedy, self.keepsValues) = (problem, remedy, keepsValues)
    }
}

/// Numbers that are still on the device: a copy of them is queued behind the work that makes them.
package final class Pending: Sendable {
    private let values: @Sendable () -> [Double]

    package init(_ values: @escaping @Sendable () -> [Double]) { self.values = values }

    /// Waits for the copy.
    package func wait() -> [Double] { values() }
}
