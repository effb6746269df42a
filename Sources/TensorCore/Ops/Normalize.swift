/// Layer normalisation over the last axis (Ba et al. 2016, arXiv:1607.06450), biased variance.
///
/// - Parameters:
///   - x: [N,D]
///   - weight: [D]
///   - bias: [D]
/// - Returns: [N,D]
package func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float) -> Tensor {
    precondition(weight.count == x.columns && bias.count == x.columns, "layerNorm: \(x.shape) and \(weight.shape)")
    let device = x.device
    let y = x.empty(x.shape)
    let (mean, reciprocal) = (device.empty([x.rows]), device.empty([x.rows]))
    device.run(
        .layerNorm(
            .init(x: x, weight: weight, bias: bias, epsilon: epsilon, y: y, mean: mean, reciprocal: reciprocal)))
    var result = y.recordedAdding(from: [x, weight, bias]) { [x = x.detached, weight = weight.detached] dy, held in
        let dx = x.empty(x.shape)
        let (dWeight, dBias) = (device.empty(weight.shape), device.empty(weight.shape))
        device.run(
            .layerNormGradient(
                .init(
                    x: x, weight: weight, mean: mean, reciprocal: reciprocal, dy: dy, addend: held, dx: dx,
                    dWeight: dWeight, dBias: dBias)))
        return [dx, dWeight, dBias]
    }
    guard result.node != nil else { return result }
    result.remake = { [x = x.detached, weight = weight.detached, bias = bias.detached] in
        withoutTape { layerNorm(x, weight: weight, bias: bias, epsilon: epsilon) }
    }
    return result
}

/// Rows divided by their length (at least 1e-12, as PyTorch's normalize): [N,D] -> [N,D].
package func normalizeRows(_ x: Tensor) -> Tensor {
    let y = x.empty(x.shape)
    let norms = x.device.empty([x.rows])
    x.device.run(.normalizeRows(.init(x: x, y: y, norms: norms)))
    return y.recorded(from: [x]) { [y = y.detached] dy in
        let dx = dy.empty(dy.shape)
        dy.device.run(.normalizeRowsGradient(.init(y: y, norms: norms, dy: dy, dx: dx)))
        return [dx]
    }
}

/// Where a batch normalisation takes mean and variance from.
package enum BatchStatistics {
    /// From the batch; `observed` gets its mean and biased variance, both [C], and its number of rows.
    case batch(observed: (_ mean: Tensor, _ variance: Tensor, _ count: Int) -> Void)
    /// Running statistics, constants.
    case fixed(mean: Tensor, variance: Tensor)
}

/// Batch normalisation of columns (Ioffe and Szegedy 2015, arXiv:1502.03167).
///
/// - Parameters:
///   - x: [N,C]
///   - weight: [C]
///   - bias: [C]
/// - Returns: [N,C]
package func batchNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, _ statistics: BatchStatistics
) -> Tensor {
    precondition(weight.count == x.columns && bias.count == x.columns, "batchNorm: \(x.shape) and \(weight.shape)")
    let device = x.device
    let mean: Tensor
    let variance: Tensor
    let isOfBatch: Bool
    switch statistics {
    case .batch(let observed):
        mean = device.empty([x.columns])
        variance = device.empty([x.columns])
        device.run(.columnMoments(.init(x: x, mean: mean, variance: variance)))
        observed(mean, variance, x.rows)
        isOfBatch = true
    case .fixed(let fixedMean, let fixedVariance):
        (mean, variance, isOfBatch) = (fixedMean, fixedVariance, false)
    }
    let y = x.empty(x.shape)
    device.run(
        .batchNorm(.init(x: x, weight: weight, bias: bias, epsilon: epsilon, mean: mean, variance: variance, y: y)))
    return y.recorded(from: [x, weight, bias]) { [x = x.detached, weight = weight.detached] dy in
        let dx = x.empty(x.shape)
        let (dWeight, dBias) = (device.empty(weight.shape), device.empty(weight.shape))
        device.run(
            .batchNormGradient(
                .init(
                    x: x, weight: weight, epsilon: epsilon, mean: mean, variance: variance, isOfBatch: isOfBatch,
                    dy: dy, dx: dx, dWeight: dWeight, dBias: dBias)))
        return [dx, dWeight, dBias]
    }
}
