import CCUDA
import Foundation
import Support
package import TensorCore

/// One NVIDIA GPU: kernels of our own (Sources/CUDAKernels), products by cuBLASLt, one stream of work.
package final class CUDADevice: Device, @unchecked Sendable {
    let backend: any CUDABackend
    let precision: Precision
    let mostShared: Int
    private let pool: CardMemory

    /// - Parameter mostShared: bytes of shared memory that a block takes at most; nil: what the card allows. The bits are
    ///   the same.
    package init(_ backend: any CUDABackend, precision: Precision = .fp32, mostShared: Int? = nil) {
        (self.backend, self.precision) = (backend, precision)
        self.mostShared = mostShared ?? backend.mostShared
        pool = CardMemory(backend)
    }

    package var name: String { backend.name }
    package var failure: DeviceFailure? { pool.failure ?? backend.failure }
    package var peakMemory: Int? { pool.mostTaken }

    package func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer {
        pool.take(count * element.bytes)
    }

    package func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int) {
        pool.give(address, bytes: count * element.bytes)
    }

    package func upload(_ values: UnsafeRawBufferPointer, into y: Tensor) {
        if failure == nil { backend.upload(values, to: address(y)) }
    }

    package func withValues(of x: Tensor, _ body: (UnsafeRawBufferPointer) -> Void) {
        let bytes = HostBytes(count: x.count * x.element.bytes)
        if CardMemory.isThere(x.storage.address) { backend.download(address(x), into: bytes.part(0..<bytes.count)) }
        body(bytes.bytes)
    }

    package func read(_ scalars: [Tensor]) -> Pending {
        let elements = scalars.map(\.element)
        precondition(scalars.allSatisfy { $0.count == 1 }, "read needs single values")
        // What should have made them was not done.
        guard failure == nil else { return Pending { elements.map { _ in .nan } } }
        let read = backend.read(scalars.map { (address($0), $0.element.bytes) })
        return Pending {
            zip(read(), elements).map { bits, element in
                element == .float64
                    ? Double(bitPattern: bits) : Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
            }
        }
    }

    package func fence() { backend.fence() }
    package func mark() -> (any TimeMark)? { backend.mark() }

    package func supports(_ call: any KernelCall.Type, _ element: Element) -> Bool {
        let isLoss =
            call == Kernel.Contrastive.self || call == Kernel.ContrastiveStrip.self || call == Kernel.LogSums.self
        return element == .float32 || (element == .bfloat16 && !isLoss)
    }

    func address(_ x: Tensor) -> UInt {
        UInt(bitPattern: x.storage.address) + UInt(x.offset * x.element.bytes)
    }

    func address(_ x: Tensor?) -> UInt { x.map { address($0) } ?? 0 }

    /// Of the right element, which is a caller's bug otherwise.
    func address(_ x: Tensor, _ element: Element) -> UInt {
        precondition(x.element == element, "a tensor of \(element) is needed here, not of \(x.element)")
        return address(x)
    }

    func address(_ indices: Indices) -> UInt { address(indices.tensor(on: self)) }

    /// Memory for the time of the calls that follow: it is taken again after them.
    func scratch(_ count: Int, _ element: Element = .float32) -> Tensor { empty([max(1, count)], element) }

    /// - Parameters:
    ///   - name: of the kernel, which is in `file`
    ///   - shared: bytes of a block
    func launch(
        _ file: String, _ name: String, grid: (Int, Int, Int), threads: Int, shared: Int = 0,
        _ arguments: any KernelArgument...
    ) {
        guard grid.0 > 0, grid.1 > 0, grid.2 > 0, failure == nil else { return }
        backend.launch(KernelLaunch(file, name, grid: grid, threads: threads, shared: shared, arguments))
    }

    /// A block for each `size` of `count`.
    func blocks(_ count: Int, of size: Int) -> (Int, Int, Int) { ((count + size - 1) / size, 1, 1) }

    /// What a kernel for operands of this element has at the end of its name.
    func suffix(_ x: Tensor) -> String {
        precondition(x.element.isReal, "no kernel computes with \(x.element)")
        return x.element == .float32 ? "f32" : "bf16"
    }
}
