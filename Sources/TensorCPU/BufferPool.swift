import Foundation
import Synchronization

/// Freed buffers by size, so that a training step after the first few allocates nothing: fresh pages
/// cost more than most kernels that fill them.
final class BufferPool: Sendable {
    private struct State {
        var free: [Int: [UnsafeMutableRawPointer]] = [:]
    }
    private let state = Mutex(State())

    /// At least `bytes` bytes, aligned to 64 (2 MB and huge pages for large ones).
    func take(_ bytes: Int) -> UnsafeMutableRawPointer {
        let size = Self.roundUp(bytes)
        // The pointer is handed over whole: nobody else keeps it.
        let pooled = state.withLock { pool in UInt(bitPattern: pool.free[size]?.popLast()) }
        if let buffer = UnsafeMutableRawPointer(bitPattern: pooled) { return buffer }
        let isLarge = size >= 1 << 22
        guard let fresh = aligned_alloc(isLarge ? 1 << 21 : 64, size) else {
            preconditionFailure("out of memory: \(size) bytes for a tensor")
        }
        if isLarge { madvise(fresh, size, 14 /* MADV_HUGEPAGE */) }
        return fresh
    }

    func give(_ buffer: UnsafeMutableRawPointer, bytes: Int) {
        let address = UInt(bitPattern: buffer)
        state.withLock {
            $0.free[Self.roundUp(bytes), default: []].append(UnsafeMutableRawPointer(bitPattern: address)!)
        }
    }

    /// Sizes in steps of an eighth of a power of two, so that similar requests share buffers.
    private static func roundUp(_ bytes: Int) -> Int {
        let step = max(64, (1 << (Int.bitWidth - max(1, bytes).leadingZeroBitCount - 1)) / 8)
        let rounded = (max(64, bytes) + step - 1) / step * step
        return rounded >= 1 << 22 ? ((rounded + (1 << 21) - 1) >> 21) << 21 : rounded
    }
}
