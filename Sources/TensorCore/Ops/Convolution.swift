/// The windows of feature maps as rows: [B * inputs, C] -> [B * outputs, C * taps], values in the order of a
/// convolution kernel [C,k,k], zeros where a window leaves the map.
package func unfold(_ x: Tensor, _ windows: Windows) -> Tensor {
    precondition(x.rows % windows.inputs == 0, "unfold: \(x.shape) holds no maps of \(windows.inputs) pixels")
    let y = x.empty([x.rows / windows.inputs * windows.outputs, x.columns * windows.taps])
    x.device.run(.unfold(.init(x: x, windows: windows, y: y)))
    return y.recorded(from: [x]) { [shape = x.shape] dy in
        let dx = dy.empty(shape)
        dy.device.run(.unfoldGradient(.init(dy: dy, windows: windows, dx: dx)))
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
package func depthwise(_ x: Tensor, _ windows: Windows, weight: Tensor, bias: Tensor) -> Tensor {
    precondition(weight.count == x.columns * windows.taps, "depthwise: \(x.shape) does not fit \(weight.shape)")
    let device = x.device
    let y = x.empty([x.rows / windows.inputs * windows.outputs, x.columns])
    device.run(.depthwise(.init(x: x, windows: windows, weight: weight, bias: bias, y: y)))
    return y.recorded(from: [x, weight, bias]) { [x = x.detached, weight = weight.detached] dy in
        let (dx, dWeight) = (x.empty(x.shape), device.empty(weight.shape))
        device.run(
            .depthwiseGradient(.init(x: x, windows: windows, weight: weight, dy: dy, dx: dx, dWeight: dWeight)))
        return [dx, dWeight, columnSums(dy, .float32)]
    }
}

/// The pixels of windows inside the map, window by window, for the mean of each.
package struct WindowPixels: Sendable {
    /// Rows of [B * inputs, C]
    let rows: Indices
    let segments: Segments

    /// - Parameter count: B
    package init(_ windows: Windows, count: Int) {
        let inside = (0..<windows.outputs).map { output in
            windows.table.values[output * windows.taps..<(output + 1) * windows.taps].filter { $0 >= 0 }
        }
        rows = Indices(
            (0..<count).flatMap { image in inside.flatMap { $0.map { Int32(image * windows.inputs) + $0 } } })
        segments = Segments(lengths: (0..<count).flatMap { _ in inside.map(\.count) })
    }
}

/// The mean of each window's pixels inside the map: [B * inputs, C] -> [B * outputs, C].
package func averagePool(_ x: Tensor, _ pixels: WindowPixels) -> Tensor {
    segmentMean(gatherRows(x, pixels.rows), pixels.segments)
}
