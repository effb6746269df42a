/// Where each learned parameter stands in one vector of all of them, and which rank owns which part.
///
/// The vector is cut into cells that never cross a parameter, cells make buckets that travel together, and every bucket is
/// shared out among the ranks. Cells do not depend on the ranks: what is summed by cell has the same bits for all.
package struct FlatLayout: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package let name: String
        package let count: Int
        /// Its first value in the vector.
        package let start: Int
    }

    package struct Cell: Sendable, Equatable {
        /// Of `entries`.
        package let entry: Int
        /// In the vector.
        package let range: Range<Int>
    }

    package let entries: [Entry]
    package let cells: [Cell]
    /// Of cells.
    package let buckets: [Range<Int>]
    package let count: Int

    private static let cellSize = 1 << 16
    /// 25 MB of float32.
    private static let bucketSize = 25_000_000 / 4

    /// - Parameter parameters: in the order in which their gradients become final, or near it
    package init(_ parameters: [(name: String, count: Int)]) {
        var (entries, cells, buckets): ([Entry], [Cell], [Range<Int>]) = ([], [], [])
        var (start, bucketStart, firstCell) = (0, 0, 0)
        for (name, count) in parameters {
            entries.append(Entry(name: name, count: count, start: start))
            for offset in stride(from: 0, to: count, by: Self.cellSize) {
                let end = start + min(count, offset + Self.cellSize)
                cells.append(Cell(entry: entries.count - 1, range: start + offset..<end))
                guard end - bucketStart >= Self.bucketSize else { continue }
                buckets.append(firstCell..<cells.count)
                (firstCell, bucketStart) = (cells.count, end)
            }
            start += count
        }
        if firstCell < cells.count { buckets.append(firstCell..<cells.count) }
        (self.entries, self.cells, self.buckets, self.count) = (entries, cells, buckets, start)
    }

    /// A bucket's part of the vector.
    package func range(of bucket: Int) -> Range<Int> { range(cells: buckets[bucket]) }

    private func range(cells range: Range<Int>) -> Range<Int> {
        guard let first = range.first, let last = range.last else { return 0..<0 }
        return cells[first].range.lowerBound..<cells[last].range.upperBound
    }

    /// The cells of a bucket that a rank owns; may be none.
    package func owned(_ bucket: Int, by rank: Int, of ranks: Int) -> Range<Int> {
        let all = buckets[bucket]
        return all.lowerBound + all.count * rank / ranks..<all.lowerBound + all.count * (rank + 1) / ranks
    }

    /// The same as a part of the vector.
    package func ownedRange(_ bucket: Int, by rank: Int, of ranks: Int) -> Range<Int> {
        let owned = owned(bucket, by: rank, of: ranks)
        return owned.isEmpty ? range(of: bucket).lowerBound..<range(of: bucket).lowerBound : range(cells: owned)
    }

    /// The part of an entry's own values that a cell is.
    package func inEntry(_ cell: Cell) -> Range<Int> {
        let start = entries[cell.entry].start
        return cell.range.lowerBound - start..<cell.range.upperBound - start
    }

    /// The buckets that an entry reaches into.
    package func buckets(of entry: Int) -> [Int] {
        buckets.indices.filter { buckets[$0].contains { cells[$0].entry == entry } }
    }
}
