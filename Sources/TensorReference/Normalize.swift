import TensorCore

extension ReferenceDevice {
    func layerNorm(_ call: Kernel.LayerNorm) {
        let (a, w, b, n) = (doubles(call.x), doubles(call.weight), doubles(call.bias), call.x.columns)
        let (out, means, reciprocals) = (doubles(call.y), doubles(call.mean), doubles(call.reciprocal))
        for i in 0..<call.x.rows {
            let row = a + i * n
            let average = (0..<n).reduce(0) { $0 + row[$1] } / Double(n)
            let variance = (0..<n).reduce(0) { $0 + (row[$1] - average) * (row[$1] - average) } / Double(n)
            means[i] = average
            reciprocals[i] = 1 / (variance + Double(call.epsilon)).squareRoot()
            for j in 0..<n { out[i * n + j] = (row[j] - average) * reciprocals[i] * w[j] + b[j] }
        }
    }

    func layerNormGradient(_ call: Kernel.LayerNormGradient) {
        let (a, w, d, n) = (doubles(call.x), doubles(call.weight), doubles(call.dy), call.x.columns)
        let (means, reciprocals) = (doubles(call.mean), doubles(call.reciprocal))
        let (out, dw, db) = (doubles(call.dx), doubles(call.dWeight), doubles(call.dBias))
        let addend = call.addend.map(doubles)
        fill(call.dWeight, 0)
        fill(call.dBias, 0)
        for i in 0..<call.x.rows {
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
                let own = reciprocals[i] * (d[i * n + j] * w[j] - sumG / Double(n) - h * sumGH / Double(n))
                out[i * n + j] = own + (addend?[i * n + j] ?? 0)
            }
        }
    }

    func normalizeRows(_ call: Kernel.NormalizeRows) {
        let (a, out, lengths, n) = (doubles(call.x), doubles(call.y), doubles(call.norms), call.x.columns)
        for i in 0..<call.x.rows {
            lengths[i] = max(1e-12, (0..<n).reduce(0) { $0 + a[i * n + $1] * a[i * n + $1] }.squareRoot())
            for j in 0..<n { out[i * n + j] = a[i * n + j] / lengths[i] }
        }
    }

    func normalizeRowsGradient(_ call: Kernel.NormalizeRowsGradient) {
        let (u, d, out) = (doubles(call.y), doubles(call.dy), doubles(call.dx))
        let (lengths, n) = (doubles(call.norms), call.y.columns)
        for i in 0..<call.y.rows {
            let along = (0..<n).reduce(0) { $0 + u[i * n + $1] * d[i * n + $1] }
            for j in 0..<n { out[i * n + j] = (d[i * n + j] - along * u[i * n + j]) / lengths[i] }
        }
    }

    func columnMoments(_ call: Kernel.ColumnMoments) {
        let (a, means, variances, n) = (doubles(call.x), doubles(call.mean), doubles(call.variance), call.x.columns)
        let count = Double(call.x.rows)
        for c in 0..<n {
            let values = (0..<call.x.rows).map { a[$0 * n + c] }
            means[c] = values.reduce(0, +) / count
            variances[c] = values.reduce(0) { $0 + ($1 - means[c]) * ($1 - means[c]) } / count
        }
    }

    func batchNorm(_ call: Kernel.BatchNorm) {
        let (a, w, b, out) = (doubles(call.x), doubles(call.weight), doubles(call.bias), doubles(call.y))
        let (means, variances, n) = (doubles(call.mean), doubles(call.variance), call.x.columns)
        for i in 0..<call.x.count {
            let c = i % n
            out[i] = (a[i] - means[c]) / (variances[c] + Double(call.epsilon)).squareRoot() * w[c] + b[c]
        }
    }

    func batchNormGradient(_ call: Kernel.BatchNormGradient) {
        let (a, w, d, out) = (doubles(call.x), doubles(call.weight), doubles(call.dy), doubles(call.dx))
        let (means, variances, n) = (doubles(call.mean), doubles(call.variance), call.x.columns)
        let (dw, db, rows) = (doubles(call.dWeight), doubles(call.dBias), call.x.rows)
        for c in 0..<n {
            let q = 1 / (variances[c] + Double(call.epsilon)).squareRoot()
            func h(_ r: Int) -> Double { (a[r * n + c] - means[c]) * q }
            db[c] = (0..<rows).reduce(0) { $0 + d[$1 * n + c] }
            dw[c] = (0..<rows).reduce(0) { $0 + d[$1 * n + c] * h($1) }
            for r in 0..<rows {
                let own = call.isOfBatch ? db[c] / Double(rows) + h(r) * dw[c] / Double(rows) : 0
                out[r * n + c] = w[c] * q * (d[r * n + c] - own)
            }
        }
    }
}
