import CKernels
import Foundation
import TensorCore

extension CPUDevice {
    public func fill(_ y: Tensor, _ value: Float) {
        let out = floats(y)
        threads.each(y.count, by: Self.pointwiseTile) { range in
            (out + range.lowerBound).update(repeating: value, count: range.count)
        }
    }

    public func copy(_ x: Tensor, into y: Tensor) {
        let (a, out) = (floats(x), floats(y))
        threads.each(y.count, by: Self.pointwiseTile) { range in
            memcpy(out + range.lowerBound, a + range.lowerBound, range.count * 4)
        }
    }

    public func add(_ a: Tensor, _ b: Tensor, into y: Tensor) {
        let (first, second, out) = (floats(a), floats(b), floats(y))
        threads.each(y.count, by: Self.pointwiseTile) { range in
            let start = range.lowerBound
            ck_add(range.count, first + start, second + start, out + start)
        }
    }

    public func accumulate(_ x: Tensor, times factor: Float, into y: Tensor) {
        let (a, out) = (floats(x), floats(y))
        threads.each(y.count, by: Self.pointwiseTile) { range in
            ck_accumulate(range.count, factor, a + range.lowerBound, out + range.lowerBound)
        }
    }

    public func scale(_ x: Tensor, by factor: Float, into y: Tensor) {
        let (a, out) = (floats(x), floats(y))
        threads.each(y.count, by: Self.pointwiseTile) { range in
            ck_scale(range.count, factor, a + range.lowerBound, out + range.lowerBound)
        }
    }

    public func multiply(_ a: Tensor, _ b: Tensor, into y: Tensor) {
        let (first, second, out) = (floats(a), floats(b), floats(y))
        threads.each(y.count, by: Self.pointwiseTile) { range in
            let start = range.lowerBound
            ck_multiply(range.count, first + start, second + start, out + start)
        }
    }

    public func activate(_ kind: Activation, _ x: Tensor, into y: Tensor) {
        let (a, out) = (floats(x), floats(y))
        threads.each(y.count, by: Self.pointwiseTile) { range in
            ck_activate(kind.rawValue, range.count, a + range.lowerBound, out + range.lowerBound)
        }
    }

    public func activateGradient(_ kind: Activation, _ x: Tensor, _ dy: Tensor, into dx: Tensor) {
        let (a, d, out) = (floats(x), floats(dy), floats(dx))
        threads.each(dx.count, by: Self.pointwiseTile) { range in
            let start = range.lowerBound
            ck_activate_gradient(kind.rawValue, range.count, a + start, d + start, out + start)
        }
    }
}
