import TensorCore

extension ReferenceDevice {
    public func layerNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, into y: Tensor, mean: Tensor, reciprocal: Tensor
    ) {
        let (a, w, b, n) = (doubles(x), doubles(weight), doubles(bias), x.columns)
        let (out, means, reciprocals) = (doubles(y), doubles(mean), doubles(reciprocal))
        for i in 0..<x.rows {
            let row = a + i * n
            let average = (0..<n).reduce(0) { $0 + row[$1] } / Double(n)
            let variance = (0..<n).reduce(0) { $0 + (row[$1] - average) * (row[$1] - average) } / Double(n)
            means[i] = average
            reciprocals[i] = 1 / (variance + Double(epsilon)).squareRoot()
            for j in 0..<n { out[i * n + j] = (row[j] - average) * reciprocals[i] * w[j] + b[j] }
        }
    }

    public func layerNormGradient(
        _ x: Tensor, weight: Tensor, mean: Tensor, reciprocal: Tensor, _ dy: Tensor, into dx: Tensor, dWeight: Tensor,
        dBias: Tensor
    ) {
        let (a, w, d, n) = (doubles(x), doubles(weight), doubles(dy), x.columns)
        let (means, reciprocals) = (doubles(mean), doubles(reciprocal))
        let (out, dw, db) = (doubles(dx), doubles(dWeight), doubles(dBias))
        fill(dWeight, 0)
        fill(dBias, 0)
        for i in 0..<x.rows {
            // With h = (x - mean) r and g = dy w: dx = r (g - mean(g) - h mean(g h))
            var (sumG, sumGH) = (0.0, 0.0)
            for j in 0..<n {
                let h = (a[i * n + j] - means[i]) * reciprocals[i]
                let g = d[i * n + j] * w[j]
                sumG += g
                sumGH += g * h
                dw[j] += d[i * n + j] * h
                db[j] += d[i * n + j]
            }
            for j in 0..<n {
                let h = (a[i * n + j] - means[i]) * reciprocals[i]
                out[i * n + j] = reciprocals[i] * (d[i * n + j] * w[j] - sumG / Double(n) - h * sumGH / Double(n))
            }
        }
    }

    public func normalizeRows(_ x: Tensor, into y: Tensor, norms: Tensor) {
        let (a, out, lengths, n) = (doubles(x), doubles(y), doubles(norms), x.columns)
        for i in 0..<x.rows {
            lengths[i] = max(1e-12, (0..<n).reduce(0) { $0 + a[i * n + $1] * a[i * n + $1] }.squareRoot())
            for j in 0..<n { out[i * n + j] = a[i * n + j] / lengths[i] }
        }
    }

    public func normalizeRowsGradient(_ y: Tensor, norms: Tensor, _ dy: Tensor, into dx: Tensor) {
        let (u, d, out, lengths, n) = (doubles(y), doubles(dy), doubles(dx), doubles(norms), y.columns)
        for i in 0..<y.rows {
            let along = (0..<n).reduce(0) { $0 + u[i * n + $1] * d[i * n + $1] }
            for j in 0..<n { out[i * n + j] = (d[i * n + j] - along * u[i * n + j]) / lengths[i] }
        }
    }
}
