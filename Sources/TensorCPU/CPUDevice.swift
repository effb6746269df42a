import CKernels
import COpenBLAS
import Foundation
import Support
package import TensorCore

/// The CPU: our own threads over fixed tiles, SIMD kernels in C, and OpenBLAS with one thread per call
/// where its products are the faster ones (docs/decisions/0006).
package final class CPUDevice: Device, @unchecked Sendable {
    let threads: Threads
    private let pool = BufferPool()
    /// Whether products run in our own kernel; otherwise, and for single large ones, in OpenBLAS.
    let usesOwnProducts: Bool

    /// Whether OpenBLAS is there; without it there is no CPU device.
    package static var isUsable: Bool { cb_open() != 0 }

    /// - Parameters:
    ///   - threads: nil for one per core. Results do not depend on it.
    ///   - ownProducts: nil for what suits this CPU; false for OpenBLAS
    package init(threads: Int? = nil, ownProducts: Bool? = nil) {
        usesOwnProducts = ck_gemm_suits() != 0 && ownProducts ?? true
        precondition(Self.isUsable, "libopenblas.so.0 cannot be opened")
        self.threads = Threads(count: threads ?? ProcessInfo.processInfo.activeProcessorCount)
        Self.requireProductBuffers(self.threads.count)
    }

    /// OpenBLAS asks for a buffer for each thread at its first product there, and for ever where it gets none.
    private static func requireProductBuffers(_ threads: Int) {
        let bytes = threads * 130 << 20
        let range = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard range != MAP_FAILED else { Machine.refuse(memory: bytes) }
        munmap(range, bytes)
    }

    /// As many as the system gave.
    package var threadCount: Int { threads.count }

    package var name: String { "cpu (\(threads.count) threads)" }

    package func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer {
        pool.take(count * element.bytes)
    }

    package func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int) {
        pool.give(address, bytes: count * element.bytes)
    }

    package func upload(_ values: UnsafeRawBufferPointer, into y: Tensor) {
        guard let source = values.baseAddress else { return }
        memcpy(start(of: y), source, values.count)
    }

    package var isHostMemory: Bool { true }

    package func withValues(of x: Tensor, _ body: (UnsafeRawBufferPointer) -> Void) {
        body(UnsafeRawBufferPointer(start: start(of: x), count: x.count * x.element.bytes))
    }

    /// The values as they are now, which is after all that was asked before.
    package func read(_ scalars: [Tensor]) -> Pending {
        let values = scalars.map { x in
            precondition(x.count == 1, "read needs single values, the shape is \(x.shape)")
            return x.element == .float64 ? doubles(x)[0] : Double(floats(x)[0])
        }
        return Pending { values }
    }

    /// Calls return when their work is done.
    package func fence() {}
    package var failure: DeviceFailure? { nil }

    /// Kernels compute in float32; what they read and fill besides has one element each (`bytes`, `doubles`).
    package func supports(_ call: any KernelCall.Type, _ element: Element) -> Bool { element == .float32 }

    private func start(of x: Tensor) -> UnsafeMutableRawPointer { x.storage.address + x.offset * x.element.bytes }

    func floats(_ x: Tensor) -> UnsafeMutablePointer<Float> {
        precondition(x.element == .float32, "a float32 tensor is needed here")
        return x.storage.address.assumingMemoryBound(to: Float.self) + x.offset
    }

    func bytes(_ x: Tensor) -> UnsafePointer<UInt8> {
        precondition(x.element == .uint8, "a uint8 tensor is needed here")
        return UnsafePointer(x.storage.address.assumingMemoryBound(to: UInt8.self) + x.offset)
    }

    func doubles(_ x: Tensor) -> UnsafeMutablePointer<Double> {
        precondition(x.element == .float64, "a float64 tensor is needed here")
        return x.storage.address.assumingMemoryBound(to: Double.self) + x.offset
    }

    /// Elements of one pointwise tile: 64 kB, half of a core's share of the level-2 cache.
    static let pointwiseTile = 16384

    /// Rows of one tile of a row-wise kernel, about a pointwise tile's elements.
    static func rowTile(_ columns: Int) -> Int { max(1, pointwiseTile / max(1, columns)) }
}
