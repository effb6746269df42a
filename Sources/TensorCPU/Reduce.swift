import CKernels
import Foundation
import TensorCore

extension CPUDevice {
    /// Sums over rows by tiles of fixed size, then over the tiles in order.
    func sumTiles(
        rows: Int, columns: Int, outputs: [UnsafeMutablePointer<Float>],
        _ tile: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
    ) {
        let size = Self.rowTile(columns) * 2
        let tiles = (rows + size - 1) / size
        let width = columns * outputs.count
        let partial = empty([max(1, tiles), width])
        let sums = floats(partial)
        threads.each(rows, by: size) { range in
            tile(range, sums + range.lowerBound / size * width)
        }
        for (index, out) in outputs.enumerated() {
            memcpy(out, sums + index * columns, columns * 4)
            for t in 1..<max(1, tiles) { ck_accumulate(columns, 1, sums + t * width + index * columns, out) }
        }
    }

    public func sumRows(_ x: Tensor, into y: Tensor) {
        let (a, n) = (floats(x), x.columns)
        guard x.rows > 0 else { return fill(y, 0) }
        sumTiles(rows: x.rows, columns: n, outputs: [floats(y)]) { range, sums in
            ck_sum_rows(range.count, n, a + range.lowerBound * n, sums)
        }
    }

    public func sumOfSquares(_ x: Tensor) -> Double {
        let a = floats(x)
        let size = Self.pointwiseTile * 4
        let tiles = (x.count + size - 1) / size
        return withUnsafeTemporaryAllocation(of: Double.self, capacity: max(1, tiles)) { sums in
            let sums = sums.baseAddress!
            threads.each(x.count, by: size) { range in
                sums[range.lowerBound / size] = ck_sum_of_squares(range.count, a + range.lowerBound)
            }
            return (0..<tiles).reduce(0) { $0 + sums[$1] }
        }
    }

    public func segmentMean(_ x: Tensor, _ segments: Segments, into y: Tensor) {
        let (a, out, n) = (floats(x), floats(y), x.columns)
        threads.each(segments.count) { s in
            ck_sum_rows(segments[s].count, n, a + segments[s].lowerBound * n, out + s * n)
            ck_scale(n, 1 / Float(segments[s].count), out + s * n, out + s * n)
        }
    }

    public func segmentMeanGradient(_ dy: Tensor, _ segments: Segments, into dx: Tensor) {
        let (d, out, n) = (floats(dy), floats(dx), dy.columns)
        threads.each(segments.count) { s in
            for i in segments[s] { ck_scale(n, 1 / Float(segments[s].count), d + s * n, out + i * n) }
        }
    }
}
