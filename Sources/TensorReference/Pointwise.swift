import Foundation
import TensorCore

extension ReferenceDevice {
    public func fill(_ y: Tensor, _ value: Float) { each(y) { _ in Double(value) } }

    public func copy(_ x: Tensor, into y: Tensor) {
        let a = doubles(x)
        each(y) { a[$0] }
    }

    public func add(_ a: Tensor, _ b: Tensor, into y: Tensor) {
        let (first, second) = (doubles(a), doubles(b))
        each(y) { first[$0] + second[$0] }
    }

    public func accumulate(_ x: Tensor, times factor: Float, into y: Tensor) {
        let (a, out) = (doubles(x), doubles(y))
        each(y) { out[$0] + Double(factor) * a[$0] }
    }

    public func scale(_ x: Tensor, by factor: Float, into y: Tensor) {
        let a = doubles(x)
        each(y) { Double(factor) * a[$0] }
    }

    public func multiply(_ a: Tensor, _ b: Tensor, into y: Tensor) {
        let (first, second) = (doubles(a), doubles(b))
        each(y) { first[$0] * second[$0] }
    }

    public func activate(_ kind: Activation, _ x: Tensor, into y: Tensor) {
        let a = doubles(x)
        each(y) { Self.activation(kind, a[$0]).value }
    }

    public func activateGradient(_ kind: Activation, _ x: Tensor, _ dy: Tensor, into dx: Tensor) {
        let (a, d) = (doubles(x), doubles(dy))
        each(dx) { d[$0] * Self.activation(kind, a[$0]).slope }
    }

    static func activation(_ kind: Activation, _ x: Double) -> (value: Double, slope: Double) {
        switch kind {
        case .quickGELU:
            let gate = 1 / (1 + exp(-1.702 * x))
            return (x * gate, gate + 1.702 * x * gate * (1 - gate))
        case .gelu:
            let area = 0.5 * (1 + erf(x / 2.0.squareRoot()))
            return (x * area, area + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot())
        case .geluTanh:
            let c = (2 / Double.pi).squareRoot()
            let t = tanh(c * (x + 0.044715 * x * x * x))
            return (0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x))
        case .relu:
            return (max(0, x), x > 0 ? 1 : 0)
        }
    }

    private func each(_ y: Tensor, _ value: (Int) -> Double) {
        let out = doubles(y)
        for i in 0..<y.count { out[i] = value(i) }
    }
}
