package import TensorCore

/// The rows that are read of packed sequences, one of each.
package struct Reading: Sendable {
    /// [B], rows of [N,D]
    package let rows: Indices
    /// Sequences of one row each, B in all.
    package let segments: Segments

    package init(_ rows: [Int32]) {
        self.rows = Indices(rows)
        segments = Segments(count: rows.count, length: 1)
    }

    /// A single row, as often as there are sequences: a learned query.
    package static func same(_ count: Int) -> Reading { Reading([Int32](repeating: 0, count: count)) }
}
