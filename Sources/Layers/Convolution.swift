import TensorCore

/// Feature maps of several images as a matrix [B * height * width, channels].
public struct FeatureMap {
    public let rows: Tensor
    public let count: Int
    public let height: Int
    public let width: Int

    public init(_ rows: Tensor, count: Int, height: Int, width: Int) {
        (self.rows, self.count, self.height, self.width) = (rows, count, height, width)
    }

    /// - Parameter images: [B,3,H,W]
    public init(images: Tensor) {
        self.init(patchify(images, patch: 1), count: images.shape[0], height: images.shape[2], width: images.shape[3])
    }

    /// The same pixels with other values.
    public func map(_ change: (Tensor) -> Tensor) -> FeatureMap {
        FeatureMap(change(rows), count: count, height: height, width: width)
    }

    func windowed(_ windows: Windows, _ change: (Tensor, Windows) -> Tensor) -> FeatureMap {
        FeatureMap(change(rows, windows), count: count, height: windows.outputHeight, width: windows.outputWidth)
    }

    /// The mean of windows, pixels outside the map not counted.
    public func averagePooled(kernel: Int, stride: Int, padding: Int = 0) -> FeatureMap {
        windowed(
            Windows(height: height, width: width, kernel: kernel, stride: stride, padding: padding), averagePool)
    }
}

/// Convolution with a square kernel; weight [O,C,k,k]. Padding keeps the size at stride 1.
public struct Convolution: Module {
    var weight: Parameter
    var bias: Parameter?
    let kernel: Int
    let stride: Int

    public init(
        _ source: some ParameterSource, _ path: String, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1,
        hasBias: Bool, weight start: Initial, bias biasStart: Initial = .zeros
    ) throws {
        weight = try source.parameter(path + ".weight", [outputs, inputs, kernel, kernel], start)
        bias = hasBias ? try source.parameter(path + ".bias", [outputs], biasStart) : nil
        self.kernel = kernel
        self.stride = stride
    }

    public func callAsFunction(_ map: FeatureMap) -> FeatureMap {
        let outputs = weight.value.shape[0]
        let matrix = weight.value.reshaped([outputs, weight.value.count / outputs])
        if kernel == 1 { return map.map { linear($0, weight: matrix, bias: bias?.value) } }
        let windows = Windows(
            height: map.height, width: map.width, kernel: kernel, stride: stride, padding: (kernel - 1) / 2)
        return map.windowed(windows) { linear(unfold($0, $1), weight: matrix, bias: bias?.value) }
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&weight)
        if bias != nil { try body(&bias!) }
    }
}

/// A 3 x 3 convolution of every channel by itself.
public struct DepthwiseConvolution: Module {
    var weight: Parameter  // [C,1,3,3]
    var bias: Parameter
    let stride: Int

    public init(_ source: some ParameterSource, _ path: String, _ channels: Int, stride: Int, weight start: Initial)
        throws
    {
        weight = try source.parameter(path + ".weight", [channels, 1, 3, 3], start)
        bias = try source.parameter(path + ".bias", [channels], .zeros)
        self.stride = stride
    }

    public func callAsFunction(_ map: FeatureMap) -> FeatureMap {
        let windows = Windows(height: map.height, width: map.width, kernel: 3, stride: stride, padding: 1)
        return map.windowed(windows) { depthwise($0, $1, weight: weight.value, bias: bias.value) }
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&weight)
        try body(&bias)
    }
}

/// Batch normalisation over all pixels of all images, with PyTorch's running statistics (momentum 0.1).
public struct BatchNorm: Module {
    var weight: Parameter
    var bias: Parameter
    var mean: Parameter
    var variance: Parameter
    var batches: Parameter
    /// Normalise by the batch's own statistics and follow them, unless the weights are frozen; otherwise by the running
    /// ones.
    public var isTraining = false

    public init(_ source: some ParameterSource, _ path: String, _ channels: Int, weight start: Initial = .ones) throws {
        weight = try source.parameter(path + ".weight", [channels], start)
        bias = try source.parameter(path + ".bias", [channels], .zeros)
        mean = try source.buffer(path + ".running_mean", [channels], .zeros)
        variance = try source.buffer(path + ".running_var", [channels], .ones)
        batches = try source.buffer(path + ".num_batches_tracked", [], .zeros, isCounter: true)
    }

    public func callAsFunction(_ map: FeatureMap) -> FeatureMap { map.map(normalized) }

    private func normalized(_ x: Tensor) -> Tensor {
        // A frozen norm stays as it is whole, its statistics too.
        let statistics: BatchStatistics =
            isTraining && !weight.isFrozen
            ? .batch(observed: follow) : .fixed(mean: mean.value, variance: variance.value)
        return batchNorm(x, weight: weight.value, bias: bias.value, epsilon: 1e-5, statistics)
    }

    /// The first pass of cached features or of recomputation records nothing and leaves the statistics alone.
    private func follow(_ mean: Tensor, _ variance: Tensor, _ count: Int) {
        guard Tape.isRecording else { return }
        let momentum: Float = 0.1
        let device = mean.device
        let unbiased = Float(count) / Float(max(1, count - 1))
        for (running, new, factor) in [(self.mean, mean, momentum), (self.variance, variance, momentum * unbiased)] {
            device.scale(running.value, by: 1 - momentum, into: running.value)
            device.accumulate(new, times: factor, into: running.value)
        }
        device.fill(batches.value, batches.value.scalar + 1)
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&weight)
        try body(&bias)
        try body(&mean)
        try body(&variance)
        try body(&batches)
    }
}
