import TensorCore

extension ReferenceDevice {
    public func gatherRows(_ x: Tensor, _ indices: Tensor, addend: Tensor?, into y: Tensor) {
        let (a, index, out, n) = (doubles(x), integers(indices), doubles(y), x.columns)
        let extra = addend.map(doubles)
        for i in 0..<indices.count {
            for j in 0..<n { out[i * n + j] = a[Int(index[i]) * n + j] + (extra?[i * n + j] ?? 0) }
        }
    }

    public func scatterAddRows(_ dy: Tensor, _ indices: Tensor, into dx: Tensor) {
        let (d, index, out, n) = (doubles(dy), integers(indices), doubles(dx), dx.columns)
        fill(dx, 0)
        for i in 0..<indices.count {
            for j in 0..<n { out[Int(index[i]) * n + j] += d[i * n + j] }
        }
    }
}
