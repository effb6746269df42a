import TensorCore

extension ReferenceDevice {
    func gatherRows(_ call: Kernel.GatherRows) {
        let (a, out, n) = (doubles(call.x), doubles(call.y), call.x.columns)
        let extra = call.addend.map(doubles)
        for (i, index) in call.indices.values.enumerated() {
            for j in 0..<n { out[i * n + j] = a[Int(index) * n + j] + (extra?[i * n + j] ?? 0) }
        }
    }

    func scatterAddRows(_ call: Kernel.ScatterAddRows) {
        let (d, out, n) = (doubles(call.dy), doubles(call.dx), call.dx.columns)
        fill(call.dx, 0)
        for (i, index) in call.indices.values.enumerated() {
            for j in 0..<n { out[Int(index) * n + j] += d[i * n + j] }
        }
    }
}
