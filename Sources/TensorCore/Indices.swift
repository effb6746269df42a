import Synchronization

/// Row numbers, offsets or pixels that kernels read: on the host where they were made, and on a device from the first
/// kernel there that asks. Lists that depend on a shape alone are made once and kept (`PerShape`).
package final class Indices: Sendable {
    package let values: [Int32]
    private let resident = Mutex<Tensor?>(nil)
    private let grouped = Mutex<RowGroups?>(nil)

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

/// Places of a list by the row that stands there: those of row r are order[starts[r]..<starts[r + 1]], ascending.
package struct RowGroups: Sendable {
    package let order: Indices
    /// One more than there are rows.
    package let starts: Indices
}

extension Indices {
    /// Made once; a negative number is no row.
    ///
    /// - Parameter rows: that the numbers are of
    package func groups(of rows: Int) -> RowGroups {
        grouped.withLock { held in
            if let held, held.starts.count == rows + 1 { return held }
            var starts = [Int32](repeating: 0, count: rows + 1)
            for row in values where row >= 0 { starts[Int(row) + 1] += 1 }
            for row in 0..<rows { starts[row + 1] += starts[row] }
            var next = starts
            var order = [Int32](repeating: 0, count: Int(starts[rows]))
            for (place, row) in values.enumerated() where row >= 0 {
                order[Int(next[Int(row)])] = Int32(place)
                next[Int(row)] += 1
            }
            let made = RowGroups(order: Indices(order), starts: Indices(starts))
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
