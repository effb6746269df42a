// Shape rule: operands of equal shape, the result has it too.

extension Tensor {
    /// Any shape, the same for both.
    package static func + (a: Tensor, b: Tensor) -> Tensor {
        precondition(a.shape == b.shape, "cannot add shapes \(a.shape) and \(b.shape)")
        let y = a.empty(a.shape)
        a.device.run(.add(.init(a: a, b: b, y: y)))
        return y.recorded(from: [a, b]) { dy in [dy, dy] }
    }

    /// Element by element; any shape, the same for both.
    package static func * (a: Tensor, b: Tensor) -> Tensor {
        precondition(a.shape == b.shape, "cannot multiply shapes \(a.shape) and \(b.shape)")
        let y = a.empty(a.shape)
        a.device.run(.multiply(.init(a: a, b: b, y: y)))
        return y.recorded(from: [a, b]) { [a = a.detached, b = b.detached] dy in
            [dy * b, dy * a]
        }
    }

    /// Any shape.
    package func scaled(by factor: Float) -> Tensor {
        let y = empty(shape)
        device.run(.scale(.init(x: self, factor: factor, y: y)))
        return y.recorded(from: [self]) { dy in [dy.scaled(by: factor)] }
    }

    /// Any shape.
    package func activated(_ kind: Activation) -> Tensor {
        let y = empty(shape)
        device.run(.activate(.init(kind: kind, x: self, y: y)))
        return y.recorded(from: [self]) { [x = detached] dy in [activationGradient(kind, x, dy)] }
    }

    /// The same values in another element, any shape; a gradient comes back in this one's.
    package func converted(to element: Element) -> Tensor {
        guard element != self.element else { return self }
        let y = device.empty(shape, element)
        device.run(.convert(.init(x: self, y: y)))
        return y.recorded(from: [self]) { [own = self.element] dy in [dy.converted(to: own)] }
    }

    /// A copy in memory of its own, any shape; nothing flows through it.
    package func copied() -> Tensor {
        let y = empty(shape)
        device.run(.copy(.init(x: self, y: y)))
        return y
    }
}

// In place, of values that nobody holds a history of: parameters after a step, running statistics, sums. Any shape.
extension Tensor {
    package func keep(within range: ClosedRange<Float>) {
        device.run(.clamp(.init(x: self, low: range.lowerBound, high: range.upperBound)))
    }

    /// self += factor x
    package func accumulate(_ x: Tensor, times factor: Float = 1) {
        precondition(x.shape == shape, "cannot add shapes \(shape) and \(x.shape)")
        device.run(.accumulate(.init(x: x, factor: factor, y: self)))
    }

    package func scale(by factor: Float) { device.run(.scale(.init(x: self, factor: factor, y: self))) }

    /// self = x
    package func fill(from x: Tensor) {
        precondition(x.count == count, "cannot copy \(x.shape) to \(shape)")
        device.run(.copy(.init(x: x, y: self)))
    }
}

func activationGradient(_ kind: Activation, _ x: Tensor, _ dy: Tensor) -> Tensor {
    let dx = x.empty(x.shape)
    x.device.run(.activateGradient(.init(kind: kind, x: x, dy: dy, dx: dx)))
    return dx
}
