import TensorCore

/// The second half of a transformer block.
enum MLP: Module {
    /// contract(activation(expand(x)))
    case plain(expand: Linear, contract: Linear)
    /// contract(activation(gate(n)) * value(n)), n = norm(x): ViTamin's GeGLU with a norm of its own.
    case gated(norm: LayerNorm, gate: Linear, value: Linear, contract: Linear)

    /// MLP(x) + residual
    func callAsFunction(_ x: Tensor, _ activation: Activation, residual: Tensor) -> Tensor {
        switch self {
        case .plain(let expand, let contract):
            return feedForward(
                x, expand: (expand.weight.value, expand.bias?.value), activation: activation,
                contract: (contract.weight.value, contract.bias?.value), residual: residual)
        case .gated(let norm, let gate, let value, let contract):
            let y = norm(x)
            let open = linear(y, weight: gate.weight.value, bias: gate.bias?.value, activation: activation)
            return contract(open * value(y), residual: residual)
        }
    }

    mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        switch self {
        case .plain(var expand, var contract):
            try expand.visit(body)
            try contract.visit(body)
            self = .plain(expand: expand, contract: contract)
        case .gated(var norm, var gate, var value, var contract):
            try norm.visit(body)
            try gate.visit(body)
            try value.visit(body)
            try contract.visit(body)
            self = .gated(norm: norm, gate: gate, value: value, contract: contract)
        }
    }
}
