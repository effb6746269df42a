package import TensorCore

/// Batch normalisation over all pixels of all images, with PyTorch's running statistics (momentum 0.1).
package struct BatchNorm: Module {
    var weight: Parameter
    var bias: Parameter
    var mean: Parameter
    var variance: Parameter
    var batches: Parameter
    /// Normalise by the batch's own statistics and follow them, unless the weights are frozen; otherwise by the running
    /// ones.
    package var isTraining = false

    package init(_ source: some ParameterSource, _ path: String, _ channels: Int, weight start: Initial = .ones) throws
    {
        weight = try source.parameter(path + ".weight", [channels], start)
        bias = try source.parameter(path + ".bias", [channels], .zeros)
        mean = try source.buffer(path + ".running_mean", [channels], .zeros)
        variance = try source.buffer(path + ".running_var", [channels], .ones)
        batches = try source.buffer(path + ".num_batches_tracked", [], .zeros, isCounter: true)
    }

    package func callAsFunction(_ map: FeatureMap) -> FeatureMap { map.map(normalized) }

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
        let unbiased = Float(count) / Float(max(1, count - 1))
        for (running, new, factor) in [(self.mean, mean, momentum), (self.variance, variance, momentum * unbiased)] {
            running.value.scale(by: 1 - momentum)
            running.value.accumulate(new, times: factor)
        }
        batches.value.accumulate(mean.device.filled(1, shape: batches.value.shape))
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try weight.visit(body)
        try bias.visit(body)
        try mean.visit(body)
        try variance.visit(body)
        try batches.visit(body)
    }
}
