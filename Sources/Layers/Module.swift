import Support
import TensorCore

/// A tensor of a model under its name in the weight file (open_clip's).
public struct Parameter: Sendable {
    public enum Role: Sendable {
        case learned
        /// Kept with the model and followed in training, not learned: running statistics.
        case buffer
        /// A buffer that counts; files hold it as an int64.
        case counter
    }

    public let name: String
    public var value: Tensor
    public let role: Role
    /// Stays as it is in the training at hand.
    public private(set) var isFrozen = false

    public init(name: String, value: Tensor, role: Role = .learned) {
        self.name = name
        self.value = value
        self.role = role
    }

    mutating func watch(isFrozen: Bool) {
        self.isFrozen = isFrozen
        if !isFrozen { value = value.watched() }
    }
}

/// Something with parameters. `visit` goes through them in the order in which they are declared.
public protocol Module: Sendable {
    mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows
}

extension Module {
    /// What is learned.
    public var parameters: [Parameter] { state.filter { $0.role == .learned } }

    /// Everything a weight file holds: parameters and buffers.
    public var state: [Parameter] {
        var copy = self
        var found: [Parameter] = []
        copy.visit { found.append($0) }
        return found
    }

    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.value.count } }

    /// A copy whose parameters collect gradients, all but the frozen ones.
    public func watched(except isFrozen: (String) -> Bool = { _ in false }) -> Self {
        var copy = self
        copy.visit { if $0.role == .learned { $0.watch(isFrozen: isFrozen($0.name)) } }
        return copy
    }
}

/// How a new parameter starts.
public enum Initial: Sendable {
    case constant(Float)
    case normal(deviation: Double)
    /// Uniform within +- bound.
    case uniform(bound: Double)

    public static let zeros = Initial.constant(0)
    public static let ones = Initial.constant(1)

    /// PyTorch's default for linear and convolution layers: +- 1 / sqrt(fan in).
    public static func fanIn(_ count: Int) -> Initial { .uniform(bound: 1 / Double(count).squareRoot()) }

    /// He et al. 2015 by outputs: deviation sqrt(2 / fan out).
    public static func fanOut(_ count: Int) -> Initial { .normal(deviation: (2 / Double(count)).squareRoot()) }

    /// Glorot and Bengio 2010: +- sqrt(6 / (fan in + fan out)).
    public static func xavier(_ fanIn: Int, _ fanOut: Int) -> Initial {
        .uniform(bound: (6 / Double(fanIn + fanOut)).squareRoot())
    }
}

/// Where a module's parameters come from: fresh draws or a weight file.
public protocol ParameterSource {
    func parameter(_ name: String, _ shape: [Int], _ initial: Initial) throws -> Parameter
}

extension ParameterSource {
    func buffer(_ name: String, _ shape: [Int], _ initial: Initial, isCounter: Bool = false) throws -> Parameter {
        Parameter(name: name, value: try parameter(name, shape, initial).value, role: isCounter ? .counter : .buffer)
    }
}

/// New parameters. Each draws from a stream of its own name, so adding one changes no other.
public struct FreshParameters: ParameterSource {
    let device: any Device
    let seed: UInt64

    public init(on device: any Device, seed: UInt64) {
        self.device = device
        self.seed = seed
    }

    public func parameter(_ name: String, _ shape: [Int], _ initial: Initial) -> Parameter {
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
