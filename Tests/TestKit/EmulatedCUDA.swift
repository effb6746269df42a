package import CCUDA
import CUDAEmulator
import Foundation
import Synchronization
package import TensorCUDA
package import TensorCore

/// CUDA's kernels and a plain product on the CPU: what they compute, not how fast they are.
package final class EmulatedCUDA: CUDABackend, @unchecked Sendable {
    /// In which order a block's threads come, and when asynchronous copies arrive.
    package enum Schedule: Int32, Sendable, CaseIterable { case ascending = 0, descending, shuffled, greedy }

    private let schedule: Schedule
    /// Bytes that the card has.
    private let limit: Int
    package var mostShared: Int { 227 << 10 }
    private let state = Mutex((held: [UInt: Int](), failure: DeviceFailure?.none))

    package init(_ schedule: Schedule = .ascending, limit: Int = .max) {
        (self.schedule, self.limit) = (schedule, limit)
    }

    package var name: String { "emulated cuda (threads \(schedule))" }
    package var failure: DeviceFailure? { state.withLock { $0.failure } }

    package func allocate(_ bytes: Int) -> UInt? {
        state.withLock { state in
            guard state.held.values.reduce(0, +) + bytes <= limit else { return nil }
            let start = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 512)
            memset(start, 0xff, bytes)  // NaN to whoever reads what nobody wrote
            state.held[UInt(bitPattern: start)] = bytes
            return UInt(bitPattern: start)
        }
    }

    package func free(_ address: UInt) {
        state.withLock { _ = $0.held.removeValue(forKey: address) }
        Self.pointer(address).deallocate()
    }

    private static func pointer(_ address: UInt) -> UnsafeMutableRawPointer {
        guard let pointer = UnsafeMutableRawPointer(bitPattern: address) else { preconditionFailure("address 0") }
        return pointer
    }

    package func upload(_ bytes: UnsafeRawBufferPointer, to address: UInt) {
        if let start = bytes.baseAddress { memcpy(Self.pointer(address), start, bytes.count) }
    }

    package func download(_ address: UInt, into bytes: UnsafeMutableRawBufferPointer) {
        if let start = bytes.baseAddress, bytes.count > 0 { memcpy(start, Self.pointer(address), bytes.count) }
    }

    package func read(_ places: [(address: UInt, bytes: Int)]) -> @Sendable () -> [UInt64] {
        let values = places.map { place in
            var value: UInt64 = 0
            memcpy(&value, Self.pointer(place.address), place.bytes)
            return value
        }
        return { values }
    }

    package func copy(_ bytes: Int, from: UInt, to: UInt) {
        if bytes > 0 { memmove(Self.pointer(to), Self.pointer(from), bytes) }
    }

    package func clear(_ address: UInt, bytes: Int) {
        if bytes > 0 { memset(Self.pointer(address), 0, bytes) }
    }

    package func launch(_ launch: KernelLaunch) {
        let status = launch.withArguments { arguments, grid in
            emulator_launch(
                launch.name, grid, UInt32(launch.threads), launch.shared, arguments, schedule.rawValue)
        }
        guard status != 0 else { return }
        let problems = ["", "is no kernel", "has more threads than it may", "waits for ever at a barrier"]
        state.withLock { state in
            state.failure = state.failure ?? DeviceFailure("\(launch.name) \(problems[Int(status)])")
        }
    }

    package func product(_ p: ccuda_product, _ operands: ProductOperands) {
        emulator_product(
            p.m, p.n, p.k, Self.pointer(operands.a), p.transposed_a, Self.pointer(operands.b), p.transposed_b,
            p.operands, UnsafeRawPointer(bitPattern: operands.bias), UnsafeRawPointer(bitPattern: operands.residual),
            Self.pointer(operands.c), p.result)
    }

    package func fence() {}
    package func mark() -> (any TimeMark)? { nil }
}
