import Synchronization

/// Row numbers, offsets or pixels that kernels read: on the host where they were made, and on a device from the first
/// kernel there that asks. Lists that depend on a shape alone are made once and kept (`PerShape`).
package final class Indices: Sendable {
    package let values: [Int32]
    private let resident = Mutex<Tensor?>(nil)

    package init(_ values: [Int32]) { self.values = values }

    package init(_ values: some Sequence<Int>) { self.values = values.map { Int32($0) } }

    package var count: Int { values.count }

    /// int32 [count] in the device's memory; does not wait.
    package func tensor(on device: any Device) -> Tensor {
        resident.withLock { held in
            if let held, held.device === device { return held }
            let made = device.tensor(values, shape: [values.count])
            held = made
            return made
        }
    }
}

/// Values that depend on a shape alone (index lists, segments, windows), made once for each and kept.
package final class PerShape<Value: Sendable>: Sendable {
    private let made = Mutex<[(key: [Int], value: Value)]>([])
    /// A run has a batch or two of its own, and an evaluation's.
    private static var limit: Int { 8 }

    package init() {}

    /// - Parameter key: the sizes that `make` depends on
    package func callAsFunction(_ key: Int..., make: () -> Value) -> Value {
        made.withLock { made in
            if let found = made.first(where: { $0.key == key }) { return found.value }
            if made.count == Self.limit { made.removeFirst() }
            let value = make()
            made.append((key, value))
            return value
        }
    }
}
