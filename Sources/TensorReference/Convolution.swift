import TensorCore

extension ReferenceDevice {
    /// Every tap inside the map: image, output pixel, tap, and the input pixel's row.
    private func eachTap(_ count: Int, _ windows: Windows, _ body: (_ output: Int, _ tap: Int, _ input: Int) -> Void) {
        for image in 0..<count {
            for o in 0..<windows.outputs {
                for t in 0..<windows.taps {
                    let pixel = Int(windows.table[o * windows.taps + t])
                    if pixel >= 0 { body(image * windows.outputs + o, t, image * windows.inputs + pixel) }
                }
            }
        }
    }

    public func unfold(_ x: Tensor, _ windows: Windows, into y: Tensor) {
        let (a, out, n) = (doubles(x), doubles(y), x.columns)
        fill(y, 0)
        eachTap(x.rows / windows.inputs, windows) { output, tap, input in
            for c in 0..<n { out[(output * n + c) * windows.taps + tap] = a[input * n + c] }
        }
    }

    public func unfoldGradient(_ dy: Tensor, _ windows: Windows, into dx: Tensor) {
        let (d, out, n) = (doubles(dy), doubles(dx), dx.columns)
        fill(dx, 0)
        eachTap(dx.rows / windows.inputs, windows) { output, tap, input in
            for c in 0..<n { out[input * n + c] += d[(output * n + c) * windows.taps + tap] }
        }
    }

    public func depthwise(_ x: Tensor, _ windows: Windows, weight: Tensor, bias: Tensor, into y: Tensor) {
        let (a, w, b, out, n) = (doubles(x), doubles(weight), doubles(bias), doubles(y), x.columns)
        for i in 0..<y.count { out[i] = b[i % n] }
        eachTap(x.rows / windows.inputs, windows) { output, tap, input in
            for c in 0..<n { out[output * n + c] += a[input * n + c] * w[c * windows.taps + tap] }
        }
    }

    public func depthwiseGradient(
        _ x: Tensor, _ windows: Windows, weight: Tensor, _ dy: Tensor, into dx: Tensor, dWeight: Tensor
    ) {
        let (a, w, d, n) = (doubles(x), doubles(weight), doubles(dy), x.columns)
        let (out, dw) = (doubles(dx), doubles(dWeight))
        fill(dx, 0)
        fill(dWeight, 0)
        eachTap(x.rows / windows.inputs, windows) { output, tap, input in
            for c in 0..<n {
                out[input * n + c] += d[output * n + c] * w[c * windows.taps + tap]
                dw[c * windows.taps + tap] += d[output * n + c] * a[input * n + c]
            }
        }
    }

    public func columnMoments(_ x: Tensor, mean: Tensor, variance: Tensor) {
        let (a, means, variances, n) = (doubles(x), doubles(mean), doubles(variance), x.columns)
        for c in 0..<n {
            let values = (0..<x.rows).map { a[$0 * n + c] }
            means[c] = values.reduce(0, +) / Double(x.rows)
            variances[c] = values.reduce(0) { $0 + ($1 - means[c]) * ($1 - means[c]) } / Double(x.rows)
        }
    }

    public func batchNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, mean: Tensor, variance: Tensor, into y: Tensor
    ) {
        let (a, w, b, out, n) = (doubles(x), doubles(weight), doubles(bias), doubles(y), x.columns)
        let (means, variances) = (doubles(mean), doubles(variance))
        for i in 0..<x.count {
            let c = i % n
            out[i] = (a[i] - means[c]) / (variances[c] + Double(epsilon)).squareRoot() * w[c] + b[c]
        }
    }

    public func batchNormGradient(
        _ x: Tensor, weight: Tensor, epsilon: Float, mean: Tensor, variance: Tensor, isOfBatch: Bool, _ dy: Tensor,
        into dx: Tensor, dWeight: Tensor, dBias: Tensor
    ) {
        let (a, w, d, out, n) = (doubles(x), doubles(weight), doubles(dy), doubles(dx), x.columns)
        let (means, variances, dw, db) = (doubles(mean), doubles(variance), doubles(dWeight), doubles(dBias))
        let rows = Double(x.rows)
        for c in 0..<n {
            let q = 1 / (variances[c] + Double(epsilon)).squareRoot()
            func h(_ r: Int) -> Double { (a[r * n + c] - means[c]) * q }
            db[c] = (0..<x.rows).reduce(0) { $0 + d[$1 * n + c] }
            dw[c] = (0..<x.rows).reduce(0) { $0 + d[$1 * n + c] * h($1) }
            for r in 0..<x.rows {
                let own = isOfBatch ? db[c] / rows + h(r) * dw[c] / rows : 0
                out[r * n + c] = w[c] * q * (d[r * n + c] - own)
            }
        }
    }
}
