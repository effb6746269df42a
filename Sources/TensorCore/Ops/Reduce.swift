/// Means of consecutive rows: [N, D] -> [sequences, D].
package func segmentMean(_ x: Tensor, _ segments: Segments) -> Tensor {
    precondition(x.rows == segments.total, "\(x.rows) rows do not hold \(segments.total) tokens")
    let y = x.empty([segments.count, x.columns])
    x.device.run(.segmentMean(.init(x: x, segments: segments, y: y)))
    return y.recorded(from: [x]) { [shape = x.shape] dy in
        let dx = dy.empty(shape)
        dy.device.run(.segmentMeanGradient(.init(dy: dy, segments: segments, dx: dx)))
        return [dx]
    }
}

/// Column sums: [N, D] -> [D].
package func sumRows(_ x: Tensor) -> Tensor {
    let y = columnSums(x, x.element)
    return y.recorded(from: [x]) { [shape = x.shape] dy in
        let rows = Indices([Int32](repeating: 0, count: shape.dropLast().reduce(1, *)))
        return [gatherRows(dy.reshaped([1, dy.count]), rows).reshaped(shape)]
    }
}

/// Column sums in an element of their own: a parameter's gradient is float32.
func columnSums(_ x: Tensor, _ element: Element) -> Tensor {
    let y = x.device.empty([x.columns], element)
    x.device.run(.sumRows(.init(x: x, y: y)))
    return y
}

/// The sum of squares of each tensor, any shapes -> float64 [count]. Stays on the device.
package func sumsOfSquares(_ xs: [Tensor], on device: any Device) -> Tensor {
    let sums = device.empty([xs.count], .float64)
    device.run(.sumOfSquares(.init(xs: xs, sums: sums)))
    return sums
}
