import CKernels
import TensorCore

extension CPUDevice {
    public func layerNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, into y: Tensor, mean: Tensor, reciprocal: Tensor
    ) {
        let (a, w, b, n) = (floats(x), floats(weight), floats(bias), x.columns)
        let (out, means, reciprocals) = (floats(y), floats(mean), floats(reciprocal))
        threads.each(x.rows, by: Self.rowTile(n)) { range in
            let start = range.lowerBound
            ck_layer_norm(
                range.count, n, a + start * n, w, b, epsilon, out + start * n, means + start, reciprocals + start)
        }
    }

    public func layerNormGradient(
        _ x: Tensor, weight: Tensor, mean: Tensor, reciprocal: Tensor, _ dy: Tensor, into dx: Tensor, dWeight: Tensor,
        dBias: Tensor
    ) {
        let (a, w, d, out, n) = (floats(x), floats(weight), floats(dy), floats(dx), x.columns)
        let (means, reciprocals) = (floats(mean), floats(reciprocal))
        sumTiles(rows: x.rows, columns: n, outputs: [floats(dWeight), floats(dBias)]) { range, sums in
            let start = range.lowerBound
            ck_layer_norm_gradient(
                range.count, n, a + start * n, w, means + start, reciprocals + start, d + start * n, out + start * n,
                sums, sums + n)
        }
    }

    public func normalizeRows(_ x: Tensor, into y: Tensor, norms: Tensor) {
        let (a, out, lengths, n) = (floats(x), floats(y), floats(norms), x.columns)
        threads.each(x.rows, by: Self.rowTile(n)) { range in
            let start = range.lowerBound
            ck_normalize_rows(range.count, n, a + start * n, out + start * n, lengths + start)
        }
    }

    public func normalizeRowsGradient(_ y: Tensor, norms: Tensor, _ dy: Tensor, into dx: Tensor) {
        let (u, d, out, lengths, n) = (floats(y), floats(dy), floats(dx), floats(norms), y.columns)
        threads.each(y.rows, by: Self.rowTile(n)) { range in
            let start = range.lowerBound
            ck_normalize_rows_gradient(range.count, n, u + start * n, lengths + start, d + start * n, out + start * n)
        }
    }
}
