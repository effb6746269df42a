import CKernels
import TensorCore

/// An image is one tile: its gradient is written by one thread.
extension CPUDevice {
    func unfold(_ call: Kernel.Unfold) {
        let (a, out, channels, windows) = (floats(call.x), floats(call.y), call.x.columns, call.windows)
        threads.each(call.x.rows / windows.inputs) { image in
            ck_unfold(
                windows.outputs, windows.taps, channels, windows.table.values, a + image * windows.inputs * channels,
                out + image * windows.outputs * channels * windows.taps)
        }
    }

    func unfoldGradient(_ call: Kernel.UnfoldGradient) {
        let (d, out, channels, windows) = (floats(call.dy), floats(call.dx), call.dx.columns, call.windows)
        fill(call.dx, 0)
        threads.each(call.dx.rows / windows.inputs) { image in
            ck_unfold_gradient(
                windows.outputs, windows.taps, channels, windows.table.values,
                d + image * windows.outputs * channels * windows.taps, out + image * windows.inputs * channels)
        }
    }

    func depthwise(_ call: Kernel.Depthwise) {
        let (a, b, out, windows) = (floats(call.x), floats(call.bias), floats(call.y), call.windows)
        let channels = call.x.columns
        let byTap = byTap(call.weight, windows.taps)
        let w = floats(byTap)
        threads.each(call.x.rows / windows.inputs) { image in
            ck_depthwise(
                windows.outputs, windows.taps, channels, windows.table.values, a + image * windows.inputs * channels,
                w, b, out + image * windows.outputs * channels)
        }
    }

    func depthwiseGradient(_ call: Kernel.DepthwiseGradient) {
        let (a, d, out, windows) = (floats(call.x), floats(call.dy), floats(call.dx), call.windows)
        let (count, size, channels) = (call.x.rows / windows.inputs, call.weight.count, call.x.columns)
        let byTap = byTap(call.weight, windows.taps)
        let w = floats(byTap)
        fill(call.dx, 0)
        let shares = empty([count, size])
        fill(shares, 0)
        let partial = floats(shares)
        threads.each(count) { image in
            let (input, output) = (image * windows.inputs * channels, image * windows.outputs * channels)
            ck_depthwise_gradient(
                windows.outputs, windows.taps, channels, windows.table.values, a + input, w, d + output, out + input,
                partial + image * size)
        }
        for image in 1..<max(1, count) { ck_accumulate(size, 1, partial + image * size, partial) }
        let sum = floats(call.dWeight)
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
}
