import Support

/// Sums by one fixed binary tree over slices: neighbours first, then neighbours of those. Its upper part is over ranks, its
/// lower part within each (`BinaryCounter`); as a + b = b + a in floating point, the bits depend on the slices alone.
package enum TreeSum {
    /// How far apart the pieces are that are added, round by round, of `count` pieces in order: each pair is
    /// (sum, addend).
    package static func pairs(_ count: Int) -> [(into: Int, from: Int)] {
        var found: [(into: Int, from: Int)] = []
        var distance = 1
        while distance < count {
            for start in stride(from: 0, to: count - distance, by: 2 * distance) {
                found.append((start, start + distance))
            }
            distance *= 2
        }
        return found
    }

    /// Adds float32 pieces of equal size in place; the sum is left in the first.
    package static func add(_ pieces: [UnsafeMutablePointer<Float>], count: Int) {
        for (into, from) in pairs(pieces.count) {
            let (sum, addend) = (pieces[into], pieces[from])
            for index in 0..<count { sum[index] += addend[index] }
        }
    }

    /// - Throws: `Failure(.usage)` naming the nearest numbers that would do
    package static func check(batch: Int, slices: Int, ranks: Int, place: String) throws {
        guard batch % slices == 0 else {
            throw Failure(
                .usage, place, "slices: a batch of \(batch) is not \(slices) equal slices",
                remedy: "The nearest that divide it: \(nearest(slices) { $0 <= batch && batch % $0 == 0 })")
        }
        guard fits(slices: slices, ranks: ranks) else {
            throw Failure(
                .usage, place,
                "\(slices) slices over \(ranks) processes: each process must hold 1, 2, 4, 8 ... of them",
                remedy:
                    "With \(slices) slices the nearest are \(nearest(ranks) { fits(slices: slices, ranks: $0) }) processes"
            )
        }
    }

    private static func fits(slices: Int, ranks: Int) -> Bool {
        guard ranks > 1 else { return true }
        let share = slices / ranks
        return slices % ranks == 0 && share & (share - 1) == 0
    }

    private static func nearest(_ value: Int, _ fits: (Int) -> Bool) -> String {
        let below = (1...max(1, value)).last(where: fits)
        let above = (value...max(value, 1) * 64 + 64).first(where: fits)
        return [below, above].compactMap { $0.map(String.init) }.joined(separator: " and ")
    }
}

/// The tree within one rank, as slices come one after the other: sums of equal size merge, so that at most
/// log2(slices) + 1 are held.
package struct BinaryCounter<Sum> {
    private var held: [(sum: Sum, slices: Int)] = []
    private let add: (Sum, Sum) -> Sum

    /// - Parameter add: the sum of two neighbours; may reuse the first
    package init(_ add: @escaping (Sum, Sum) -> Sum) { self.add = add }

    package mutating func push(_ sum: Sum) {
        held.append((sum, 1))
        while held.count > 1, held[held.count - 1].slices == held[held.count - 2].slices { merge() }
    }

    /// Everything that was pushed; nil where nothing was.
    package mutating func total() -> Sum? {
        while held.count > 1 { merge() }
        return held.popLast()?.sum
    }

    private mutating func merge() {
        let right = held.removeLast()
        let left = held.removeLast()
        held.append((add(left.sum, right.sum), left.slices + right.slices))
    }
}
