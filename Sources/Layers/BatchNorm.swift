package import TensorCore

/// Batch normalisation over all pixels of all images, with PyTorch's running statistics (momentum 0.1).
package struct BatchNorm: Module {
    var weight: Parameter
    var bias: Parameter
    var mean: Parameter
    var variance: Parameter
    var batches: Parameter
    package var use = BatchNormUse.running

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
            use.isOwn && !weight.isFrozen
            ? .batch(observed: observe) : .fixed(mean: mean.value, variance: variance.value)
        return batchNorm(x, weight: weight.value, bias: bias.value, epsilon: 1e-5, statistics)
    }

    /// The first pass of cached features or of recomputation records nothing and leaves the statistics alone.
    private func observe(_ mean: Tensor, _ variance: Tensor, _ count: Int) {
        guard Tape.isRecording else { return }
        let unbiased = Float(count) / Float(max(1, count - 1))
        if case .slice(let seen) = use {
            seen.add(self, mean, variance, unbiased: unbiased)
        } else {
            follow(mean, variance, unbiased: unbiased)
        }
    }

    /// Moves the running statistics.
    fileprivate func follow(_ mean: Tensor, _ variance: Tensor, unbiased: Float) {
        let momentum: Float = 0.1
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

/// By which statistics batch normalisation normalises; one whose weight is frozen always by the running ones.
package enum BatchNormUse: Sendable {
    case running
    /// The batch's own, which the running ones follow.
    case batch
    /// The slice's own; the running ones follow the mean of all slices once a step.
    case slice(SliceStatistics)

    var isOwn: Bool { if case .running = self { false } else { true } }
}

/// What batch norms saw of the slices of a step.
package final class SliceStatistics: @unchecked Sendable {
    private struct Seen {
        let norm: BatchNorm
        let mean: Tensor
        let variance: Tensor
        let unbiased: Float
    }

    private var slices: [[Seen]] = []

    package init() {}

    /// Before a slice's images are encoded.
    package func beginSlice() {
        if slices.last?.isEmpty != true { slices.append([]) }
    }

    fileprivate func add(_ norm: BatchNorm, _ mean: Tensor, _ variance: Tensor, unbiased: Float) {
        precondition(!slices.isEmpty, "a batch norm outside of a slice")
        slices[slices.count - 1].append(Seen(norm: norm, mean: mean, variance: variance, unbiased: unbiased))
    }

    /// Of each slice the means and variances of all norms, one after the other; none where no norm follows.
    package var rows: [[Float]] {
        slices.filter { !$0.isEmpty }.map { $0.flatMap { $0.mean.floats + $0.variance.floats } }
    }

    /// Moves the running statistics of all norms.
    ///
    /// - Parameter row: as one of `rows`, of all slices
    package func follow(_ row: [Float]) {
        var start = 0
        for seen in slices.first ?? [] {
            func next() -> Tensor {
                defer { start += seen.mean.count }
                return seen.mean.device.tensor(
                    Array(row[start..<start + seen.mean.count]), shape: seen.mean.shape)
            }
            seen.norm.follow(next(), next(), unbiased: seen.unbiased)
        }
    }
}
