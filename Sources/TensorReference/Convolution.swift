import TensorCore

extension ReferenceDevice {
    /// Every tap inside the map: image, output pixel, tap, and the input pixel's row.
    private func eachTap(_ count: Int, _ windows: Windows, _ body: (_ output: Int, _ tap: Int, _ input: Int) -> Void) {
        for image in 0..<count {
            for o in 0..<windows.outputs {
                for t in 0..<windows.taps {
                    let pixel = Int(windows.table.values[o * windows.taps + t])
                    if pixel >= 0 { body(image * windows.outputs + o, t, image * windows.inputs + pixel) }
                }
            }
        }
    }

    func unfold(_ call: Kernel.Unfold) {
        let (a, out, n, windows) = (doubles(call.x), doubles(call.y), call.x.columns, call.windows)
        fill(call.y, 0)
        eachTap(call.x.rows / windows.inputs, windows) { output, tap, input in
            for c in 0..<n { out[(output * n + c) * windows.taps + tap] = a[input * n + c] }
        }
    }

    func unfoldGradient(_ call: Kernel.UnfoldGradient) {
        let (d, out, n, windows) = (doubles(call.dy), doubles(call.dx), call.dx.columns, call.windows)
        fill(call.dx, 0)
        eachTap(call.dx.rows / windows.inputs, windows) { output, tap, input in
            for c in 0..<n { out[input * n + c] += d[(output * n + c) * windows.taps + tap] }
        }
    }

    func depthwise(_ call: Kernel.Depthwise) {
        let (a, w, b, out) = (doubles(call.x), doubles(call.weight), doubles(call.bias), doubles(call.y))
        let (n, windows) = (call.x.columns, call.windows)
        for i in 0..<call.y.count { out[i] = b[i % n] }
        eachTap(call.x.rows / windows.inputs, windows) { output, tap, input in
            for c in 0..<n { out[output * n + c] += a[input * n + c] * w[c * windows.taps + tap] }
        }
    }

    func depthwiseGradient(_ call: Kernel.DepthwiseGradient) {
        let (a, w, d, n) = (doubles(call.x), doubles(call.weight), doubles(call.dy), call.x.columns)
        let (out, dw, windows) = (doubles(call.dx), doubles(call.dWeight), call.windows)
        fill(call.dx, 0)
        fill(call.dWeight, 0)
        eachTap(call.x.rows / windows.inputs, windows) { output, tap, input in
            for c in 0..<n {
                out[input * n + c] += d[output * n + c] * w[c * windows.taps + tap]
                dw[c * windows.taps + tap] += d[output * n + c] * a[input * n + c]
            }
        }
    }
}
