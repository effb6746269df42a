import TensorCore

extension ReferenceDevice {
    public func sumRows(_ x: Tensor, into y: Tensor) {
        let (a, out, n) = (doubles(x), doubles(y), x.columns)
        for j in 0..<n { out[j] = (0..<x.rows).reduce(0) { $0 + a[$1 * n + j] } }
    }

    public func sumOfSquares(_ x: Tensor) -> Double {
        let a = doubles(x)
        return (0..<x.count).reduce(0) { $0 + a[$1] * a[$1] }
    }

    public func segmentMean(_ x: Tensor, _ segments: Segments, into y: Tensor) {
        let (a, out, n) = (doubles(x), doubles(y), x.columns)
        for s in 0..<segments.count {
            for j in 0..<n {
                out[s * n + j] = segments[s].reduce(0) { $0 + a[$1 * n + j] } / Double(segments[s].count)
            }
        }
    }

    public func segmentMeanGradient(_ dy: Tensor, _ segments: Segments, into dx: Tensor) {
        let (d, out, n) = (doubles(dy), doubles(dx), dy.columns)
        for s in 0..<segments.count {
            for i in segments[s] {
                for j in 0..<n { out[i * n + j] = d[s * n + j] / Double(segments[s].count) }
            }
        }
    }
}
