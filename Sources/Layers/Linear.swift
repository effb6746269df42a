import TensorCore

/// y = x W^T + b; weight [outputs, inputs] as PyTorch's.
public struct Linear: Module {
    public var weight: Parameter
    public var bias: Parameter?

    public init(
        _ source: some ParameterSource, _ path: String, _ inputs: Int, _ outputs: Int, weight: Initial, bias: Initial?
    ) throws {
        self.weight = try source.parameter(path + ".weight", [outputs, inputs], weight)
        self.bias = try bias.map { try source.parameter(path + ".bias", [outputs], $0) }
    }

    public func callAsFunction(_ x: Tensor, residual: Tensor? = nil) -> Tensor {
        linear(x, weight: weight.value, bias: bias?.value, residual: residual)
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&weight)
        if bias != nil { try body(&bias!) }
    }
}
