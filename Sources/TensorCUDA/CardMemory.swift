import Support
import Synchronization
import TensorCore

/// The card's memory, asked for in large pieces and cut as tensors come and go. Work happens in the order of the calls, so
/// what is given back is taken again at once.
final class CardMemory: Sendable {
    private struct State {
        var free = FreeRanges()
        /// What was asked for, but for its end: pieces are never neighbours, as no copy may cross from one to the other.
        var pieces: [Range<UInt>] = []
        var failure: DeviceFailure?
        var mostTaken = 0
    }

    private let backend: any CUDABackend
    private let state = Mutex(State())
    private static let alignment = 512
    /// The least and the most that is asked for ahead of need.
    private static let (smallest, largest) = (64 << 20, 1 << 30)

    init(_ backend: any CUDABackend) { self.backend = backend }

    deinit {
        backend.fence()
        state.withLock { state in state.pieces.forEach { backend.free($0.lowerBound) } }
    }

    var failure: DeviceFailure? { state.withLock { $0.failure } }
    /// The most bytes that tensors lay in.
    var mostTaken: Int { state.withLock { $0.mostTaken } }

    /// An address that must not be used where there is a `failure`.
    func take(_ bytes: Int) -> UnsafeMutableRawPointer {
        let size = Self.roundUp(bytes)
        let address = state.withLock { state in
            state.free.take(size) ?? grow(&state, for: size)
        }
        guard let pointer = UnsafeMutableRawPointer(bitPattern: address) else { preconditionFailure("no address") }
        return pointer
    }

    func give(_ address: UnsafeMutableRawPointer, bytes: Int) {
        let start = UInt(bitPattern: address)
        state.withLock { state in
            guard start != Self.none else { return }
            state.free.give(start..<start + UInt(Self.roundUp(bytes)))
        }
    }

    /// Stands for memory that there was none of.
    private static let none: UInt = 1

    static func isThere(_ address: UnsafeMutableRawPointer) -> Bool { UInt(bitPattern: address) != none }

    private func grow(_ state: inout State, for size: Int) -> UInt {
        let held = state.pieces.reduce(0) { $0 + $1.count }
        let ahead = max(size, min(Self.largest, max(Self.smallest, held / 4)))
        for wanted in Set([ahead, size]).sorted(by: >) {
            if let start = piece(of: wanted, for: size, &state) { return start }
        }
        // What lies idle in pieces too small goes back first.
        backend.fence()
        state.pieces.removeAll { piece in
            guard state.free.take(piece) else { return false }
            backend.free(piece.lowerBound)
            return true
        }
        if let start = piece(of: size, for: size, &state) { return start }
        state.failure =
            state.failure
            ?? DeviceFailure(
                "has no memory for \(formatBytes(size)) beside the \(formatBytes(held)) that it gave",
                remedy: "Set a smaller chunk in the recipe, or checkpointing: true; with chunk the step stays the same")
        return Self.none
    }

    /// - Returns: where `size` bytes of it stand; nil where the card has no piece of this size
    private func piece(of bytes: Int, for size: Int, _ state: inout State) -> UInt? {
        guard let address = backend.allocate(bytes + Self.alignment) else { return nil }
        let piece = address..<address + UInt(bytes)
        state.pieces.append(piece)
        state.mostTaken = max(state.mostTaken, state.pieces.reduce(0) { $0 + $1.count })
        state.free.give(piece)
        return state.free.take(size)
    }

    private static func roundUp(_ bytes: Int) -> Int { max(alignment, (bytes + alignment - 1) / alignment * alignment) }
}
