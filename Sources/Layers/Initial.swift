import Support
package import TensorCore

/// How a new parameter starts.
package enum Initial: Sendable {
    case constant(Float)
    case normal(deviation: Double)
    /// Uniform within +- bound.
    case uniform(bound: Double)

    package static let zeros = Initial.constant(0)
    package static let ones = Initial.constant(1)

    /// PyTorch's default for linear and convolution layers: +- 1 / sqrt(fan in).
    package static func fanIn(_ count: Int) -> Initial { .uniform(bound: 1 / Double(count).squareRoot()) }

    /// He et al. 2015 by outputs: deviation sqrt(2 / fan out).
    package static func fanOut(_ count: Int) -> Initial { .normal(deviation: (2 / Double(count)).squareRoot()) }

    /// Glorot and Bengio 2010: +- sqrt(6 / (fan in + fan out)).
    package static func xavier(_ fanIn: Int, _ fanOut: Int) -> Initial {
        .uniform(bound: (6 / Double(fanIn + fanOut)).squareRoot())
    }
}

/// Where a module's parameters come from: fresh draws or a weight file.
package protocol ParameterSource {
    /// A parameter of this name and shape, float32.
    func parameter(_ name: String, _ shape: [Int], _ initial: Initial) throws -> Parameter
}

extension ParameterSource {
    func buffer(_ name: String, _ shape: [Int], _ initial: Initial, isCounter: Bool = false) throws -> Parameter {
        Parameter(name: name, value: try parameter(name, shape, initial).value, role: isCounter ? .counter : .buffer)
    }
}

/// New parameters. Each draws from a stream of its own name, so adding one changes no other.
package struct FreshParameters: ParameterSource {
    let device: any Device
    let seed: UInt64

    package init(on device: any Device, seed: UInt64) {
        self.device = device
        self.seed = seed
    }

    /// Drawn values of this shape, float32.
    package func parameter(_ name: String, _ shape: [Int], _ initial: Initial) -> Parameter {
        var stream = RandomStream(seed: seed, purpose: "parameter " + name)
        let count = shape.reduce(1, *)
        let value: Tensor
        switch initial {
        case .constant(let constant): value = device.filled(constant, shape: shape)
        case .normal(let deviation):
            value = device.tensor((0..<count).map { _ in Float(stream.normal() * deviation) }, shape: shape)
        case .uniform(let bound):
            value = device.tensor((0..<count).map { _ in Float(stream.uniform(-bound, bound)) }, shape: shape)
        }
        return Parameter(name: name, value: value)
    }
}
