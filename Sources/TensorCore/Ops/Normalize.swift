/// Layer normalisation over the last axis (Ba et al. 2016, arXiv:1607.06450), biased variance.
///
/// - Parameters:
///   - x: [N,D]
///   - weight: [D]
///   - bias: [D]
public func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float) -> Tensor {
    precondition(weight.count == x.columns && bias.count == x.columns, "layerNorm: \(x.shape) and \(weight.shape)")
    let device = x.device
    let y = device.empty(x.shape)
    let mean = device.empty([x.rows])
    let reciprocal = device.empty([x.rows])
    device.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon, into: y, mean: mean, reciprocal: reciprocal)
    var result = y.recorded(from: [x, weight, bias]) { [x = x.detached, weight = weight.detached] dy in
        let dx = device.empty(x.shape)
        let dWeight = device.empty(weight.shape)
        let dBias = device.empty(weight.shape)
        device.layerNormGradient(
            x, weight: weight, mean: mean, reciprocal: reciprocal, dy, into: dx, dWeight: dWeight, dBias: dBias)
        return [dx, dWeight, dBias]
    }
    guard result.node != nil else { return result }
    result.remake = { [x = x.detached, weight = weight.detached, bias = bias.detached] in
        withoutTape { layerNorm(x, weight: weight, bias: bias, epsilon: epsilon) }
    }
    return result
}

/// Rows divided by their length (at least 1e-12, as PyTorch's normalize).
public func normalizeRows(_ x: Tensor) -> Tensor {
    let y = x.device.empty(x.shape)
    let norms = x.device.empty([x.rows])
    x.device.normalizeRows(x, into: y, norms: norms)
    return y.recorded(from: [x]) { [y = y.detached] dy in
        let dx = dy.device.empty(dy.shape)
        dy.device.normalizeRowsGradient(y, norms: norms, dy, into: dx)
        return [dx]
    }
}
