package import TensorCore

package struct LayerNorm: Module {
    package var weight: Parameter
    package var bias: Parameter
    package let epsilon: Float

    package init(_ source: some ParameterSource, _ path: String, _ width: Int, epsilon: Float) throws {
        weight = try source.parameter(path + ".weight", [width], .ones)
        bias = try source.parameter(path + ".bias", [width], .zeros)
        self.epsilon = epsilon
    }

    package func callAsFunction(_ x: Tensor) -> Tensor {
        layerNorm(x, weight: weight.value, bias: bias.value, epsilon: epsilon)
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try weight.visit(body)
        try bias.visit(body)
    }
}
