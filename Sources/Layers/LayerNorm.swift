import TensorCore

public struct LayerNorm: Module {
    public var weight: Parameter
    public var bias: Parameter
    public let epsilon: Float

    public init(_ source: some ParameterSource, _ path: String, _ width: Int, epsilon: Float) throws {
        weight = try source.parameter(path + ".weight", [width], .ones)
        bias = try source.parameter(path + ".bias", [width], .zeros)
        self.epsilon = epsilon
    }

    public func callAsFunction(_ x: Tensor) -> Tensor {
        layerNorm(x, weight: weight.value, bias: bias.value, epsilon: epsilon)
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&weight)
        try body(&bias)
    }
}
