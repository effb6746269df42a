import Foundation
import TensorCore

extension ReferenceDevice {
    func fill(_ y: Tensor, _ value: Float) { each(y) { _ in Double(value) } }

    func copy(_ call: Kernel.Copy) {
        let a = doubles(call.x)
        each(call.y) { a[$0] }
    }

    /// `run` rounds to what y is made of.
    func convert(_ call: Kernel.Convert) {
        let a = doubles(call.x)
        each(call.y) { a[$0] }
    }

    func add(_ call: Kernel.Add) {
        let (first, second) = (doubles(call.a), doubles(call.b))
        each(call.y) { first[$0] + second[$0] }
    }

    func accumulate(_ call: Kernel.Accumulate) {
        let (a, out) = (doubles(call.x), doubles(call.y))
        each(call.y) { out[$0] + Double(call.factor) * a[$0] }
    }

    func scale(_ call: Kernel.Scale) {
        let a = doubles(call.x)
        each(call.y) { Double(call.factor) * a[$0] }
    }

    func scaleByElement(_ call: Kernel.ScaleByElement) {
        let (a, factor) = (doubles(call.x), doubles(call.factor)[0])
        each(call.y) { factor * a[$0] }
    }

    func clamp(_ call: Kernel.Clamp) {
        let x = doubles(call.x)
        each(call.x) { min(max(x[$0], Double(call.low)), Double(call.high)) }
    }

    func multiply(_ call: Kernel.Multiply) {
        let (first, second) = (doubles(call.a), doubles(call.b))
        each(call.y) { first[$0] * second[$0] }
    }

    func activate(_ call: Kernel.Activate) {
        let a = doubles(call.x)
        each(call.y) { Self.activation(call.kind, a[$0]).value }
    }

    func activateGradient(_ call: Kernel.ActivateGradient) {
        let (a, d) = (doubles(call.x), doubles(call.dy))
        each(call.dx) { d[$0] * Self.activation(call.kind, a[$0]).slope }
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
        case .tanh:
            let t = tanh(x)
            return (t, 1 - t * t)
        }
    }

    private func each(_ y: Tensor, _ value: (Int) -> Double) {
        let out = doubles(y)
        for i in 0..<y.count { out[i] = value(i) }
    }
}
