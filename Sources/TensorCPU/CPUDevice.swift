import CKernels
import COpenBLAS
import Foundation
import Support
import TensorCore

/// The CPU: our own threads over fixed tiles, SIMD kernels in C, and OpenBLAS with one thread per call
/// where its products are the faster ones (docs/decisions/0006).
public final class CPUDevice: Device, @unchecked Sendable {
    let threads: Threads
    private let pool = BufferPool()
    /// Whether products run in our own kernel; otherwise, and for single large ones, in OpenBLAS.
    let usesOwnProducts: Bool

    /// Whether OpenBLAS is there; without it there is no CPU device.
    public static var isUsable: Bool { cb_open() != 0 }

    /// - Parameters:
    ///   - threads: nil for one per core. Results do not depend on it.
    ///   - ownProducts: nil for what suits this CPU; false for OpenBLAS
    public init(threads: Int? = nil, ownProducts: Bool? = nil) {
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
    public var threadCount: Int { threads.count }

    public var name: String { "cpu (\(threads.count) threads)" }

    public func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer { pool.take(count * 4) }

    public func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int) {
        pool.give(address, bytes: count * 4)
    }

    public func upload(_ values: UnsafeBufferPointer<Float>, into y: Tensor) {
        guard let source = values.baseAddress else { return }
        memcpy(floats(y), source, values.count * 4)
    }

    public func upload(_ values: [Int32], into y: Tensor) { integers(y).update(from: values, count: values.count) }

    public func withFloats(_ x: Tensor, _ body: (UnsafeBufferPointer<Float>) -> Void) {
        body(UnsafeBufferPointer(start: floats(x), count: x.count))
    }

    public func downloadIntegers(_ x: Tensor) -> [Int32] {
        Array(UnsafeBufferPointer(start: integers(x), count: x.count))
    }

    func floats(_ x: Tensor) -> UnsafeMutablePointer<Float> {
        precondition(x.element == .float32, "a float32 tensor is needed here")
        return x.storage.address.assumingMemoryBound(to: Float.self) + x.offset
    }

    func integers(_ x: Tensor) -> UnsafeMutablePointer<Int32> {
        precondition(x.element == .int32, "an int32 tensor is needed here")
        return x.storage.address.assumingMemoryBound(to: Int32.self) + x.offset
    }

    /// Elements of one pointwise tile: 64 kB, half of a core's share of the level-2 cache.
    static let pointwiseTile = 16384

    /// Rows of one tile of a row-wise kernel, about a pointwise tile's elements.
    static func rowTile(_ columns: Int) -> Int { max(1, pointwiseTile / max(1, columns)) }
}
