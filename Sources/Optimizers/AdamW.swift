import Support
import TensorCore

/// A parameter as the optimiser sees it.
public struct OptimizedParameter: Sendable {
    public let name: String
    public let value: Tensor
    public init(name: String, value: Tensor) {
        self.name = name
        self.value = value
    }
}

/// The gradients of a model's parameters, in the order of its `visit`; nil where none arrived (frozen).
public struct Gradients: Sendable {
    public let names: [String]
    public let tensors: [Tensor?]

    public init(names: [String], tensors: [Tensor?]) {
        self.names = names
        self.tensors = tensors
    }

    /// The length of all gradients as one vector; sums in double precision.
    public var norm: Double {
        tensors.reduce(0) { $0 + ($1.map { $0.device.sumOfSquares($0) } ?? 0) }.squareRoot()
    }

    /// The first parameter whose gradient is not finite.
    public var firstNonFinite: String? {
        zip(names, tensors).first { $0.1.map { !$0.device.sumOfSquares($0).isFinite } ?? false }?.0
    }

    /// What PyTorch's clip_grad_norm_ multiplies by: at most 1.
    public static func clipFactor(norm: Double, limit: Double?) -> Double {
        limit.map { min(1, $0 / (norm + 1e-6)) } ?? 1
    }
}

/// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) in PyTorch's form.
///
/// Two groups cover every parameter: no decay for vectors and scalars and for names with bn, ln, bias or
/// logit_scale (open_clip's rule); everything else decays.
public struct AdamW: Sendable {
    public struct Settings: Sendable, Equatable {
        public var beta1: Double
        public var beta2: Double
        public var epsilon: Double
        public var weightDecay: Double
        public init(beta1: Double = 0.9, beta2: Double = 0.98, epsilon: Double = 1e-6, weightDecay: Double = 0.2) {
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.weightDecay = weightDecay
        }
    }

    /// The running moments of one parameter.
    public struct Moments: Sendable {
        public let mean: Tensor
        public let square: Tensor
        public init(mean: Tensor, square: Tensor) {
            self.mean = mean
            self.square = square
        }
    }

    public let settings: Settings
    /// Updates made so far.
    public var step = 0
    /// By parameter; made when its first gradient arrives.
    public var moments: [String: Moments] = [:]

    public init(_ settings: Settings) { self.settings = settings }

    /// The first parameter whose moments are NaN or infinite.
    public var firstNonFinite: String? {
        moments.sorted { $0.key < $1.key }.first {
            $0.value.mean.floats.firstNonFinite != nil || $0.value.square.floats.firstNonFinite != nil
        }?.key
    }

    public static func decays(_ name: String, dimensions: Int) -> Bool {
        dimensions >= 2 && !["bn", "ln", "bias", "logit_scale"].contains { name.contains($0) }
    }

    /// One step, in place, on every parameter that has a gradient.
    ///
    /// - Parameters:
    ///   - factor: what gradients are multiplied by first (clipping)
    ///   - rate: learning rate
    public mutating func update(
        _ parameters: [OptimizedParameter], _ gradients: Gradients, factor: Double, rate: Double
    ) {
        precondition(parameters.map(\.name) == gradients.names, "gradients of another model")
        step += 1
        for (parameter, gradient) in zip(parameters, gradients.tensors) {
            guard let gradient else { continue }
            let device = parameter.value.device
            let moments =
                self.moments[parameter.name]
                ?? Moments(mean: device.zeros(parameter.value.shape), square: device.zeros(parameter.value.shape))
            self.moments[parameter.name] = moments
            let decay = Self.decays(parameter.name, dimensions: parameter.value.shape.count) ? settings.weightDecay : 0
            device.adamW(
                parameter.value, gradient: gradient, mean: moments.mean, square: moments.square,
                AdamWStep(
                    rate: rate, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
                    weightDecay: decay, step: step, gradientFactor: factor))
        }
    }
}
