// Shape rule: operands of equal shape, the result has it too.

extension Tensor {
    public static func + (a: Tensor, b: Tensor) -> Tensor {
        precondition(a.shape == b.shape, "cannot add shapes \(a.shape) and \(b.shape)")
        let y = a.device.empty(a.shape)
        a.device.add(a, b, into: y)
        return y.recorded(from: [a, b]) { dy in [dy, dy] }
    }

    public static func * (a: Tensor, b: Tensor) -> Tensor {
        precondition(a.shape == b.shape, "cannot multiply shapes \(a.shape) and \(b.shape)")
        let y = a.device.empty(a.shape)
        a.device.multiply(a, b, into: y)
        return y.recorded(from: [a, b]) { [a = a.detached, b = b.detached] dy in
            [dy * b, dy * a]
        }
    }

    public func scaled(by factor: Float) -> Tensor {
        let y = device.empty(shape)
        device.scale(self, by: factor, into: y)
        return y.recorded(from: [self]) { dy in [dy.scaled(by: factor)] }
    }

    public func activated(_ kind: Activation) -> Tensor {
        let y = device.empty(shape)
        device.activate(kind, self, into: y)
        return y.recorded(from: [self]) { [x = detached] dy in [activationGradient(kind, x, dy)] }
    }
}

func activationGradient(_ kind: Activation, _ x: Tensor, _ dy: Tensor) -> Tensor {
    let dx = x.device.empty(x.shape)
    x.device.activateGradient(kind, x, dy, into: dx)
    return dx
}
