/// [M,K] x [K,N] -> [M,N]; with `transposeA` or `transposeB`, that operand's axes are read the other way round.
package func matmul(_ a: Tensor, _ b: Tensor, transposeA aT: Bool = false, transposeB bT: Bool = false) -> Tensor {
    let c = product(Factor(a, transposed: aT), Factor(b, transposed: bT), a.element)
    return c.recorded(from: [a, b]) { [aNode = a.node, bNode = b.node, a = a.detached, b = b.detached] dc in
        let da =
            aNode == nil
            ? nil : aT ? matmul(b, dc, transposeA: bT, transposeB: true) : matmul(dc, b, transposeB: !bT)
        let db =
            bNode == nil
            ? nil : bT ? matmul(dc, a, transposeA: true, transposeB: aT) : matmul(a, dc, transposeA: !aT)
        return [da, db]
    }
}

/// a b in an element of its own, not recorded: [M,K] x [K,N] -> [M,N].
func product(_ a: Factor, _ b: Factor, _ element: Element) -> Tensor {
    precondition(
        a.matrix.shape.count == 2 && b.matrix.shape.count == 2,
        "a product needs matrices, got \(a.matrix.shape) and \(b.matrix.shape)")
    precondition(
        a.columns == b.rows, "a product's inner sizes differ, \([a.rows, a.columns]) and \([b.rows, b.columns])")
    let c = a.matrix.device.empty([a.rows, b.columns], element)
    c.device.run(.product(.init(a: a, b: b, c: c)))
    return c
}

/// A fully connected layer, fused: activation(x W^T + bias) or x W^T + bias + residual.
///
/// - Parameters:
///   - x: [N,K]
///   - weight: [M,K], PyTorch's layout
///   - bias: [M]
///   - residual: [N,M]; not together with an activation
/// - Returns: [N,M]
package func linear(
    _ x: Tensor, weight: Tensor, bias: Tensor? = nil, activation: Activation? = nil, residual: Tensor? = nil
) -> Tensor {
    precondition(x.shape.count == 2 && x.columns == weight.columns, "linear: \(x.shape) does not fit \(weight.shape)")
    precondition(activation == nil || residual == nil, "linear: an activation and a residual exclude each other")
    let device = x.device
    let y = x.empty([x.rows, weight.rows])
    let parents = [x, weight, bias, residual]
    let isRecorded = Tape.isRecording && parents.contains { $0?.node != nil }
    let preactivation = activation != nil && isRecorded ? y.empty(like: y) : nil
    device.run(
        .product(
            .init(
                a: Factor(x), b: Factor(weight, transposed: true), c: y,
                epilogue: Epilogue(
                    bias: bias, activation: activation, preactivation: preactivation, residual: residual))))
    guard isRecorded else { return y }
    let wants = parents.map { $0?.node != nil }
    return y.recorded(from: parents) { [x = x.kept, weight = weight.detached] dy in
        var dz = dy
        if let activation, let preactivation { dz = activationGradient(activation, preactivation, dy) }
        return [
            wants[0] ? matmul(dz, weight) : nil,  // [N,M] x [M,K]
            wants[1] ? product(Factor(dz, transposed: true), Factor(x()), .float32) : nil,  // [M,N] x [N,K]
            wants[2] ? columnSums(dz, .float32) : nil,
            dy,
        ]
    }
}

/// A transformer block's MLP, fused: activation(x W1^T + b1) W2^T + b2 + residual. Of what lies between,
/// only the pre-activation is kept for the backward pass.
///
/// - Parameters:
///   - x: [N,K]
///   - expand: weight [H,K] and bias [H]
///   - contract: weight [M,H] and bias [M]
///   - residual: [N,M]
/// - Returns: [N,M]
package func feedForward(
    _ x: Tensor, expand: (weight: Tensor, bias: Tensor?), activation: Activation,
    contract: (weight: Tensor, bias: Tensor?), residual: Tensor? = nil
) -> Tensor {
    let device = x.device
    let parents = [x, expand.weight, expand.bias, contract.weight, contract.bias, residual]
    let isRecorded = Tape.isRecording && parents.contains { $0?.node != nil }
    let preactivation = isRecorded ? x.empty([x.rows, expand.weight.rows]) : nil
    let y = withoutTape {
        let hidden = x.empty([x.rows, expand.weight.rows])
        device.run(
            .product(
                .init(
                    a: Factor(x), b: Factor(expand.weight, transposed: true), c: hidden,
                    epilogue: Epilogue(bias: expand.bias, activation: activation, preactivation: preactivation))))
        return linear(hidden, weight: contract.weight, bias: contract.bias, residual: residual)
    }
    guard let preactivation else { return y }
    let wants = parents.map { $0?.node != nil }
    return y.recorded(from: parents) {
        [x = x.kept, first = expand.weight.detached, second = contract.weight.detached] dy in
        let dz = preactivation.empty(like: preactivation)
        let dFirstBias = wants[2] ? device.empty([dz.columns]) : nil
        device.run(
            .product(
                .init(
                    a: Factor(dy), b: Factor(second), c: dz,
                    epilogue: Epilogue(slope: (activation, preactivation), sums: dFirstBias))))
        let hidden = preactivation  // as the product has left it
        return [
            wants[0] ? matmul(dz, first) : nil,
            wants[1] ? product(Factor(dz, transposed: true), Factor(x()), .float32) : nil,
            dFirstBias,
            wants[3] ? product(Factor(dy, transposed: true), Factor(hidden), .float32) : nil,  // [M,N] x [N,H]
            wants[4] ? columnSums(dy, .float32) : nil,
            dy,
        ]
    }
}
