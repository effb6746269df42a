/// The windows of feature maps as rows: [B * inputs, C] -> [B * outputs, C * taps], values in the order of a
/// convolution kernel [C,k,k], zeros where a window leaves the map.
public func unfold(_ x: Tensor, _ windows: Windows) -> Tensor {
    precondition(x.rows % windows.inputs == 0, "unfold: \(x.shape) holds no maps of \(windows.inputs) pixels")
    let device = x.device
    let y = device.empty([x.rows / windows.inputs * windows.outputs, x.columns * windows.taps])
    device.unfold(x, windows, into: y)
    return y.recorded(from: [x]) { [shape = x.shape] dy in
        let dx = device.empty(shape)
        device.unfoldGradient(dy, windows, into: dx)
        return [dx]
    }
}

/// Convolution of every channel with a kernel of its own.
///
/// - Parameters:
///   - x: [B * inputs, C]
///   - weight: [C,1,k,k]
///   - bias: [C]
/// - Returns: [B * outputs, C]
public func depthwise(_ x: Tensor, _ windows: Windows, weight: Tensor, bias: Tensor) -> Tensor {
    precondition(weight.count == x.columns * windows.taps, "depthwise: \(x.shape) does not fit \(weight.shape)")
    let device = x.device
    let y = device.empty([x.rows / windows.inputs * windows.outputs, x.columns])
    device.depthwise(x, windows, weight: weight, bias: bias, into: y)
    return y.recorded(from: [x, weight, bias]) { [x = x.detached, weight = weight.detached] dy in
        let dx = device.empty(x.shape)
        let dWeight = device.empty(weight.shape)
        device.depthwiseGradient(x, windows, weight: weight, dy, into: dx, dWeight: dWeight)
        return [dx, dWeight, sumRows(dy)]
    }
}

/// The mean of each window's pixels inside the map: [B * inputs, C] -> [B * outputs, C].
public func averagePool(_ x: Tensor, _ windows: Windows) -> Tensor {
    let count = x.rows / windows.inputs
    let inside = (0..<windows.outputs).map { output in
        windows.table[output * windows.taps..<(output + 1) * windows.taps].filter { $0 >= 0 }
    }
    let rows = (0..<count).flatMap { image in inside.flatMap { $0.map { Int32(image * windows.inputs) + $0 } } }
    let segments = Segments(lengths: (0..<count).flatMap { _ in inside.map(\.count) })
    return segmentMean(gatherRows(x, x.device.tensor(rows, shape: [rows.count])), segments)
}

/// Where a batch normalisation takes mean and variance from.
public enum BatchStatistics {
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
public func batchNorm(
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
        device.columnMoments(x, mean: mean, variance: variance)
        observed(mean, variance, x.rows)
        isOfBatch = true
    case .fixed(let fixedMean, let fixedVariance):
        (mean, variance, isOfBatch) = (fixedMean, fixedVariance, false)
    }
    let y = device.empty(x.shape)
    device.batchNorm(x, weight: weight, bias: bias, epsilon: epsilon, mean: mean, variance: variance, into: y)
    return y.recorded(from: [x, weight, bias]) { [x = x.detached, weight = weight.detached] dy in
        let dx = device.empty(x.shape)
        let dWeight = device.empty(weight.shape)
        let dBias = device.empty(weight.shape)
        device.batchNormGradient(
            x, weight: weight, epsilon: epsilon, mean: mean, variance: variance, isOfBatch: isOfBatch, dy, into: dx,
            dWeight: dWeight, dBias: dBias)
        return [dx, dWeight, dBias]
    }
}
