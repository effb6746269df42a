package import TensorCore

/// y = x W^T + b; weight [outputs, inputs] as PyTorch's.
package struct Linear: Module {
    package var weight: Parameter
    package var bias: Parameter?

    package init(
        _ source: some ParameterSource, _ path: String, _ inputs: Int, _ outputs: Int, weight: Initial, bias: Initial?
    ) throws {
        self.weight = try source.parameter(path + ".weight", [outputs, inputs], weight)
        self.bias = try bias.map { try source.parameter(path + ".bias", [outputs], $0) }
    }

    package func callAsFunction(_ x: Tensor, residual: Tensor? = nil) -> Tensor {
        linear(x, weight: weight.value, bias: bias?.value, residual: residual)
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try weight.visit(body)
        try bias.visit(body)
    }
}
