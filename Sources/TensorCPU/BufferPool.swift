import Foundation
import Support
import Synchronization
import TensorCore

/// One range of addresses, cut into buffers and joined again as they come and go: what one size gave back serves another,
/// so that gradients live where activations were, and a training step after the first few asks the system for nothing.
final class BufferPool: Sendable {
    private struct State {
        /// Of what is committed.
        var free = FreeRanges()
        var committed: UInt
    }
    private let state: Mutex<State>
    private let base: UInt
    private let size: UInt
    /// The range is committed in huge pages.
    private static let page: UInt = 1 << 21

    init() {
        // Addresses alone cost nothing; where they are rationed (ulimit -v) fewer will do.
        var size = max(1 << 30, UInt(ProcessInfo.processInfo.physicalMemory) * 2)
        var found = Self.reserve(size)
        while found == nil, size > 4 * Self.page {
            size /= 2
            if let all = Self.reserve(size) {  // what is left belongs to others too
                munmap(all, Int(size))
                size /= 2
                found = Self.reserve(size)
            }
        }
        guard let found else { Machine.refuse(memory: Int(size)) }
        base = UInt(bitPattern: found)
        self.size = size
        state = Mutex(State(committed: (base + Self.page - 1) / Self.page * Self.page))
    }

    private static func reserve(_ size: UInt) -> UnsafeMutableRawPointer? {
        let range = mmap(nil, Int(size), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        return range == MAP_FAILED ? nil : range
    }

    deinit { munmap(UnsafeMutableRawPointer(bitPattern: base), Int(size)) }

    /// At least `bytes` bytes, aligned to 64.
    func take(_ bytes: Int) -> UnsafeMutableRawPointer {
        let size = Self.roundUp(bytes)
        let address = state.withLock { state in
            if let start = state.free.take(size) { return start }
            grow(&state, for: size)
            return state.free.take(size) ?? 0
        }
        guard let pointer = UnsafeMutableRawPointer(bitPattern: address) else { preconditionFailure("no address") }
        return pointer
    }

    func give(_ buffer: UnsafeMutableRawPointer, bytes: Int) {
        let start = UInt(bitPattern: buffer)
        state.withLock { $0.free.give(start..<start + UInt(Self.roundUp(bytes))) }
    }

    /// Commits enough at the end that a free range of `size` lies there.
    private func grow(_ state: inout State, for size: Int) {
        let atEnd = state.free.count(upTo: state.committed)
        let needed = (UInt(size - atEnd) + Self.page - 1) / Self.page * Self.page
        let start = UnsafeMutableRawPointer(bitPattern: state.committed)
        guard state.committed + needed <= base + self.size, mprotect(start, Int(needed), PROT_READ | PROT_WRITE) == 0
        else {
            Machine.refuse(memory: size)
        }
        madvise(start, Int(needed), 14 /* MADV_HUGEPAGE */)
        state.free.give(state.committed..<state.committed + needed)
        state.committed += needed
    }

    private static func roundUp(_ bytes: Int) -> Int { max(64, (bytes + 63) / 64 * 64) }
}
