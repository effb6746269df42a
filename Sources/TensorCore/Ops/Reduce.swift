/// Means of consecutive rows: [N, D] -> [sequences, D].
public func segmentMean(_ x: Tensor, _ segments: Segments) -> Tensor {
    precondition(x.rows == segments.total, "\(x.rows) rows do not hold \(segments.total) tokens")
    let y = x.device.empty([segments.count, x.columns])
    x.device.segmentMean(x, segments, into: y)
    return y.recorded(from: [x]) { [shape = x.shape] dy in
        let dx = dy.device.empty(shape)
        dy.device.segmentMeanGradient(dy, segments, into: dx)
        return [dx]
    }
}

/// Column sums: [N, D] -> [D].
public func sumRows(_ x: Tensor) -> Tensor {
    let y = x.device.empty([x.columns])
    x.device.sumRows(x, into: y)
    return y.recorded(from: [x]) { [shape = x.shape] dy in
        let rows = dy.device.tensor(
            [Int32](repeating: 0, count: shape.dropLast().reduce(1, *)), shape: [shape.dropLast().reduce(1, *)])
        return [gatherRows(dy.reshaped([1, dy.count]), rows).reshaped(shape)]
    }
}
