import CKernels
import TensorCore

/// An image is one tile: its gradient is written by one thread.
extension CPUDevice {
    public func unfold(_ x: Tensor, _ windows: Windows, into y: Tensor) {
        let (a, out, channels) = (floats(x), floats(y), x.columns)
        threads.each(x.rows / windows.inputs) { image in
            ck_unfold(
                windows.outputs, windows.taps, channels, windows.table, a + image * windows.inputs * channels,
                out + image * windows.outputs * channels * windows.taps)
        }
    }

    public func unfoldGradient(_ dy: Tensor, _ windows: Windows, into dx: Tensor) {
        let (d, out, channels) = (floats(dy), floats(dx), dx.columns)
        fill(dx, 0)
        threads.each(dx.rows / windows.inputs) { image in
            ck_unfold_gradient(
                windows.outputs, windows.taps, channels, windows.table,
                d + image * windows.outputs * channels * windows.taps, out + image * windows.inputs * channels)
        }
    }

    public func depthwise(_ x: Tensor, _ windows: Windows, weight: Tensor, bias: Tensor, into y: Tensor) {
        let (a, b, out, channels) = (floats(x), floats(bias), floats(y), x.columns)
        let byTap = byTap(weight, windows.taps)
        let w = floats(byTap)
        threads.each(x.rows / windows.inputs) { image in
            ck_depthwise(
                windows.outputs, windows.taps, channels, windows.table, a + image * windows.inputs * channels, w, b,
                out + image * windows.outputs * channels)
        }
    }

    public func depthwiseGradient(
        _ x: Tensor, _ windows: Windows, weight: Tensor, _ dy: Tensor, into dx: Tensor, dWeight: Tensor
    ) {
        let (a, d, out, channels) = (floats(x), floats(dy), floats(dx), x.columns)
        let (count, size) = (x.rows / windows.inputs, weight.count)
        let byTap = byTap(weight, windows.taps)
        let w = floats(byTap)
        fill(dx, 0)
        let shares = empty([count, size])
        fill(shares, 0)
        let partial = floats(shares)
        threads.each(count) { image in
            let (input, output) = (image * windows.inputs * channels, image * windows.outputs * channels)
            ck_depthwise_gradient(
                windows.outputs, windows.taps, channels, windows.table, a + input, w, d + output, out + input,
                partial + image * size)
        }
        for image in 1..<max(1, count) { ck_accumulate(size, 1, partial + image * size, partial) }
        let sum = floats(dWeight)
        for c in 0..<channels { for t in 0..<windows.taps { sum[c * windows.taps + t] = partial[t * channels + c] } }
    }

    /// [channels, taps] -> [taps, channels]
    private func byTap(_ weight: Tensor, _ taps: Int) -> Tensor {
        let channels = weight.count / taps
        let turned = empty([taps, channels])
        let (w, out) = (floats(weight), floats(turned))
        for c in 0..<channels { for t in 0..<taps { out[t * channels + c] = w[c * taps + t] } }
        return turned
    }

    public func columnMoments(_ x: Tensor, mean: Tensor, variance: Tensor) {
        let (a, means, variances, n) = (floats(x), floats(mean), floats(variance), x.columns)
        threads.each(n, by: 64) { range in
            let start = range.lowerBound
            ck_column_moments(x.rows, n, range.count, a + start, means + start, variances + start)
        }
    }

    public func batchNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, mean: Tensor, variance: Tensor, into y: Tensor
    ) {
        let (a, w, b, out, n) = (floats(x), floats(weight), floats(bias), floats(y), x.columns)
        let (means, variances) = (floats(mean), floats(variance))
        threads.each(n, by: 64) { range in
            let start = range.lowerBound
            ck_batch_norm(
                x.rows, n, range.count, a + start, w + start, b + start, epsilon, means + start, variances + start,
                out + start)
        }
    }

    public func batchNormGradient(
        _ x: Tensor, weight: Tensor, epsilon: Float, mean: Tensor, variance: Tensor, isOfBatch: Bool, _ dy: Tensor,
        into dx: Tensor, dWeight: Tensor, dBias: Tensor
    ) {
        let (a, w, d, out, n) = (floats(x), floats(weight), floats(dy), floats(dx), x.columns)
        let (means, variances, dw, db) = (floats(mean), floats(variance), floats(dWeight), floats(dBias))
        threads.each(n, by: 64) { range in
            let start = range.lowerBound
            ck_batch_norm_gradient(
                x.rows, n, range.count, a + start, w + start, epsilon, means + start, variances + start,
                isOfBatch ? 1 : 0, d + start, out + start, dw + start, db + start)
        }
    }
}
