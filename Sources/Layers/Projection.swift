package import TensorCore

/// From a tower's width to the space that both towers meet in.
package enum Projection: Module {
    /// The tower's width is the space's.
    case none
    /// x W, W [D,E]: CLIP's.
    case matrix(Parameter)
    /// x W^T (+ bias), W [E,D], bias [E].
    case linear(Parameter, bias: Parameter?)

    /// [B,D] -> [B,E]
    package func callAsFunction(_ x: Tensor) -> Tensor {
        switch self {
        case .none: x
        case .matrix(let weight): matmul(x, weight.value)
        case .linear(let weight, let bias): TensorCore.linear(x, weight: weight.value, bias: bias?.value)
        }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        switch self {
        case .none: break
        case .matrix(var weight):
            try body(&weight)
            self = .matrix(weight)
        case .linear(var weight, var bias):
            try body(&weight)
            try bias.visit(body)
            self = .linear(weight, bias: bias)
        }
    }
}
