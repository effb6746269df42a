import TensorCore

extension ReferenceDevice {
    func sumRows(_ call: Kernel.SumRows) {
        let (a, out, n) = (doubles(call.x), doubles(call.y), call.x.columns)
        for j in 0..<n { out[j] = (0..<call.x.rows).reduce(0) { $0 + a[$1 * n + j] } }
    }

    func sumOfSquares(_ call: Kernel.SumOfSquares) {
        let sums = doubles(call.sums)
        for (index, x) in call.xs.enumerated() {
            let a = doubles(x)
            sums[index] = (0..<x.count).reduce(0) { $0 + a[$1] * a[$1] }
        }
    }

    func segmentMean(_ call: Kernel.SegmentMean) {
        let (a, out, n, segments) = (doubles(call.x), doubles(call.y), call.x.columns, call.segments)
        for s in 0..<segments.count {
            for j in 0..<n {
                out[s * n + j] = segments[s].reduce(0) { $0 + a[$1 * n + j] } / Double(segments[s].count)
            }
        }
    }

    func segmentMeanGradient(_ call: Kernel.SegmentMeanGradient) {
        let (d, out, n, segments) = (doubles(call.dy), doubles(call.dx), call.dy.columns, call.segments)
        for s in 0..<segments.count {
            for i in segments[s] {
                for j in 0..<n { out[i * n + j] = d[s * n + j] / Double(segments[s].count) }
            }
        }
    }
}
