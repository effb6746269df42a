import Support
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

    func sumRows(_ x: Tensor, into y: Tensor) {
        let (a, n) = (floats(x), x.columns)
        guard x.rows > 0 else { return fill(y, 0) }
        sumTiles(rows: x.rows, columns: n, outputs: [floats(y)]) { range, sums in
            ck_sum_rows(range.count, n, a + range.lowerBound * n, sums)
        }
    }

    func sumOfSquares(_ call: Kernel.SumOfSquares) {
        let sums = doubles(call.sums)
        for (index, x) in call.xs.enumerated() { sums[index] = sumOfSquares(x) }
    }

    private func sumOfSquares(_ x: Tensor) -> Double {
        let a = floats(x)
        let size = Self.pointwiseTile * 4
        let tiles = (x.count + size - 1) / size
        return withUnsafeTemporaryAllocation(of: Double.self, capacity: max(1, tiles)) { sums in
            let sums = sums.start
            threads.each(x.count, by: size) { range in
                sums[range.lowerBound / size] = ck_sum_of_squares(range.count, a + range.lowerBound)
            }
            return (0..<tiles).reduce(0) { $0 + sums[$1] }
        }
    }

    func segmentMean(_ call: Kernel.SegmentMean) {
        let (a, out, n, segments) = (floats(call.x), floats(call.y), call.x.columns, call.segments)
        threads.each(segments.count) { s in
            ck_sum_rows(segments[s].count, n, a + segments[s].lowerBound * n, out + s * n)
            ck_scale(n, 1 / Float(segments[s].count), out + s * n, out + s * n)
        }
    }

    func segmentMeanGradient(_ call: Kernel.SegmentMeanGradient) {
        let (d, out, n, segments) = (floats(call.dy), floats(call.dx), call.dy.columns, call.segments)
        threads.each(segments.count) { s in
            for i in segments[s] { ck_scale(n, 1 / Float(segments[s].count), d + s * n, out + i * n) }
        }
    }
}
