import CKernels
import Foundation
import TensorCore

extension CPUDevice {
    func fill(_ y: Tensor, _ value: Float) {
        let out = floats(y)
        threads.each(y.count, by: Self.pointwiseTile) { range in
            (out + range.lowerBound).update(repeating: value, count: range.count)
        }
    }

    func copy(_ call: Kernel.Copy) {
        let (a, out) = (floats(call.x), floats(call.y))
        threads.each(call.y.count, by: Self.pointwiseTile) { range in
            memcpy(out + range.lowerBound, a + range.lowerBound, range.count * 4)
        }
    }

    func add(_ call: Kernel.Add) {
        let (first, second, out) = (floats(call.a), floats(call.b), floats(call.y))
        threads.each(call.y.count, by: Self.pointwiseTile) { range in
            let start = range.lowerBound
            ck_add(range.count, first + start, second + start, out + start)
        }
    }

    func accumulate(_ call: Kernel.Accumulate) {
        let (a, out, factor) = (floats(call.x), floats(call.y), call.factor)
        threads.each(call.y.count, by: Self.pointwiseTile) { range in
            ck_accumulate(range.count, factor, a + range.lowerBound, out + range.lowerBound)
        }
    }

    func scaleByElement(_ call: Kernel.ScaleByElement) { scale(call.x, by: floats(call.factor)[0], into: call.y) }

    func scale(_ x: Tensor, by factor: Float, into y: Tensor) {
        let (a, out) = (floats(x), floats(y))
        threads.each(y.count, by: Self.pointwiseTile) { range in
            ck_scale(range.count, factor, a + range.lowerBound, out + range.lowerBound)
        }
    }

    func clamp(_ call: Kernel.Clamp) {
        let x = floats(call.x)
        for i in 0..<call.x.count { x[i] = min(max(x[i], call.low), call.high) }
    }

    func multiply(_ call: Kernel.Multiply) {
        let (first, second, out) = (floats(call.a), floats(call.b), floats(call.y))
        threads.each(call.y.count, by: Self.pointwiseTile) { range in
            let start = range.lowerBound
            ck_multiply(range.count, first + start, second + start, out + start)
        }
    }

    func activate(_ call: Kernel.Activate) {
        let (a, out, kind) = (floats(call.x), floats(call.y), call.kind)
        threads.each(call.y.count, by: Self.pointwiseTile) { range in
            ck_activate(kind.rawValue, range.count, a + range.lowerBound, out + range.lowerBound)
        }
    }

    func activateGradient(_ call: Kernel.ActivateGradient) {
        let (a, d, out, kind) = (floats(call.x), floats(call.dy), floats(call.dx), call.kind)
        threads.each(call.dx.count, by: Self.pointwiseTile) { range in
            let start = range.lowerBound
            ck_activate_gradient(kind.rawValue, range.count, a + start, d + start, out + start)
        }
    }
}
