import CKernels
import TensorCore

extension CPUDevice {
    func layerNorm(_ call: Kernel.LayerNorm) {
        let (a, w, b, n) = (floats(call.x), floats(call.weight), floats(call.bias), call.x.columns)
        let (out, means, reciprocals) = (floats(call.y), floats(call.mean), floats(call.reciprocal))
        threads.each(call.x.rows, by: Self.rowTile(n)) { range in
            let start = range.lowerBound
            ck_layer_norm(
                range.count, n, a + start * n, w, b, call.epsilon, out + start * n, means + start, reciprocals + start)
        }
    }

    func layerNormGradient(_ call: Kernel.LayerNormGradient) {
        let (a, w, d, out) = (floats(call.x), floats(call.weight), floats(call.dy), floats(call.dx))
        let (means, reciprocals, n) = (floats(call.mean), floats(call.reciprocal), call.x.columns)
        let addend = call.addend.map(floats)
        sumTiles(rows: call.x.rows, columns: n, outputs: [floats(call.dWeight), floats(call.dBias)]) { range, sums in
            let start = range.lowerBound
            ck_layer_norm_gradient(
                range.count, n, a + start * n, w, means + start, reciprocals + start, d + start * n, out + start * n,
                sums, sums + n)
            if let addend { ck_add(range.count * n, addend + start * n, out + start * n, out + start * n) }
        }
    }

    func normalizeRows(_ call: Kernel.NormalizeRows) {
        let (a, out, lengths, n) = (floats(call.x), floats(call.y), floats(call.norms), call.x.columns)
        threads.each(call.x.rows, by: Self.rowTile(n)) { range in
            let start = range.lowerBound
            ck_normalize_rows(range.count, n, a + start * n, out + start * n, lengths + start)
        }
    }

    func normalizeRowsGradient(_ call: Kernel.NormalizeRowsGradient) {
        let (u, d, out) = (floats(call.y), floats(call.dy), floats(call.dx))
        let (lengths, n) = (floats(call.norms), call.y.columns)
        threads.each(call.y.rows, by: Self.rowTile(n)) { range in
            let start = range.lowerBound
            ck_normalize_rows_gradient(range.count, n, u + start * n, lengths + start, d + start * n, out + start * n)
        }
    }

    func columnMoments(_ call: Kernel.ColumnMoments) {
        let (a, means, variances, n) = (floats(call.x), floats(call.mean), floats(call.variance), call.x.columns)
        threads.each(n, by: 64) { range in
            let start = range.lowerBound
            ck_column_moments(call.x.rows, n, range.count, a + start, means + start, variances + start)
        }
    }

    func batchNorm(_ call: Kernel.BatchNorm) {
        let (a, w, b, out) = (floats(call.x), floats(call.weight), floats(call.bias), floats(call.y))
        let (means, variances, n) = (floats(call.mean), floats(call.variance), call.x.columns)
        threads.each(n, by: 64) { range in
            let start = range.lowerBound
            ck_batch_norm(
                call.x.rows, n, range.count, a + start, w + start, b + start, call.epsilon, means + start,
                variances + start, out + start)
        }
    }

    func batchNormGradient(_ call: Kernel.BatchNormGradient) {
        let (a, w, d, out) = (floats(call.x), floats(call.weight), floats(call.dy), floats(call.dx))
        let (means, variances, n) = (floats(call.mean), floats(call.variance), call.x.columns)
        let (dw, db) = (floats(call.dWeight), floats(call.dBias))
        threads.each(n, by: 64) { range in
            let start = range.lowerBound
            ck_batch_norm_gradient(
                call.x.rows, n, range.count, a + start, w + start, call.epsilon, means + start, variances + start,
                call.isOfBatch ? 1 : 0, d + start, out + start, dw + start, db + start)
        }
    }
}
