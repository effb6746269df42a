package import TensorCore

/// Feature maps of several images as a matrix [B * height * width, channels].
package struct FeatureMap {
    package let rows: Tensor
    package let count: Int
    package let height: Int
    package let width: Int

    package init(_ rows: Tensor, count: Int, height: Int, width: Int) {
        (self.rows, self.count, self.height, self.width) = (rows, count, height, width)
    }

    /// - Parameter images: [B,3,H,W]
    package init(images: Tensor) {
        self.init(patchify(images, patch: 1), count: images.shape[0], height: images.shape[2], width: images.shape[3])
    }

    /// The same pixels with other values.
    package func map(_ change: (Tensor) -> Tensor) -> FeatureMap {
        FeatureMap(change(rows), count: count, height: height, width: width)
    }

    func windowed(_ windows: Windows, _ change: (Tensor, Windows) -> Tensor) -> FeatureMap {
        FeatureMap(change(rows, windows), count: count, height: windows.outputHeight, width: windows.outputWidth)
    }
}

/// The mean of windows, pixels outside the map not counted.
package struct AveragePool: Sendable {
    private let kernel: Int
    private let stride: Int
    private let padding: Int
    private let made = PerShape<(windows: Windows, pixels: WindowPixels)>()

    package init(kernel: Int, stride: Int, padding: Int = 0) {
        (self.kernel, self.stride, self.padding) = (kernel, stride, padding)
    }

    package func callAsFunction(_ map: FeatureMap) -> FeatureMap {
        let (windows, pixels) = made(map.count, map.height, map.width) {
            let windows = Windows(
                height: map.height, width: map.width, kernel: kernel, stride: stride, padding: padding)
            return (windows, WindowPixels(windows, count: map.count))
        }
        return map.windowed(windows) { rows, _ in averagePool(rows, pixels) }
    }
}

/// Size and step of a convolution's square kernel.
package struct KernelShape: Sendable {
    package let kernel: Int
    package let stride: Int

    package init(_ kernel: Int, stride: Int = 1) { (self.kernel, self.stride) = (kernel, stride) }
}

/// Convolution with a square kernel; weight [O,C,k,k]. Padding keeps the size at stride 1.
package struct Convolution: Module {
    var weight: Parameter
    var bias: Parameter?
    let shape: KernelShape
    private let made = PerShape<Windows>()

    /// - Parameters:
    ///   - channels: of its input and of its output
    ///   - hasBias: one that starts at 0
    package init(
        _ source: some ParameterSource, _ path: String, _ channels: (inputs: Int, outputs: Int), _ shape: KernelShape,
        hasBias: Bool, weight start: Initial
    ) throws {
        weight = try source.parameter(
            path + ".weight", [channels.outputs, channels.inputs, shape.kernel, shape.kernel], start)
        bias = hasBias ? try source.parameter(path + ".bias", [channels.outputs], .zeros) : nil
        self.shape = shape
    }

    package func callAsFunction(_ map: FeatureMap) -> FeatureMap {
        let outputs = weight.value.shape[0]
        let matrix = weight.value.reshaped([outputs, weight.value.count / outputs])
        let map = map.map { $0.converted(to: matrix.element) }  // an image's values are float32
        if shape.kernel == 1 { return map.map { linear($0, weight: matrix, bias: bias?.value) } }
        let windows = made(map.height, map.width) {
            Windows(
                height: map.height, width: map.width, kernel: shape.kernel, stride: shape.stride,
                padding: (shape.kernel - 1) / 2)
        }
        return map.windowed(windows) { linear(unfold($0, $1), weight: matrix, bias: bias?.value) }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try weight.visit(body)
        try bias.visit(body)
    }
}

/// A 3 x 3 convolution of every channel by itself.
package struct DepthwiseConvolution: Module {
    var weight: Parameter  // [C,1,3,3]
    var bias: Parameter
    let stride: Int
    private let made = PerShape<Windows>()

    package init(_ source: some ParameterSource, _ path: String, _ channels: Int, stride: Int, weight start: Initial)
        throws
    {
        weight = try source.parameter(path + ".weight", [channels, 1, 3, 3], start)
        bias = try source.parameter(path + ".bias", [channels], .zeros)
        self.stride = stride
    }

    package func callAsFunction(_ map: FeatureMap) -> FeatureMap {
        let windows = made(map.height, map.width) {
            Windows(height: map.height, width: map.width, kernel: 3, stride: stride, padding: 1)
        }
        return map.windowed(windows) { depthwise($0, $1, weight: weight.value, bias: bias.value) }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try weight.visit(body)
        try bias.visit(body)
    }
}
