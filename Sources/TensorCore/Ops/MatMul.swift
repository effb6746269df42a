/// [M,K] x [K,N] -> [M,N]; with `transposeA` or `transposeB`, that operand's axes are read the other way round.
public func matmul(_ a: Tensor, _ b: Tensor, transposeA aT: Bool = false, transposeB bT: Bool = false) -> Tensor {
    precondition(a.shape.count == 2 && b.shape.count == 2, "matmul needs matrices, got \(a.shape) and \(b.shape)")
    let (m, k) = aT ? (a.shape[1], a.shape[0]) : (a.shape[0], a.shape[1])
    let (inner, n) = bT ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    precondition(k == inner, "matmul: inner sizes differ, \(a.shape) and \(b.shape)")
    let c = a.device.empty([m, n])
    a.device.matmul(a, transposed: aT, b, transposed: bT, into: c, Epilogue())
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

/// A fully connected layer, fused: activation(x W^T + bias) or x W^T + bias + residual.
///
/// - Parameters:
///   - x: [N,K]
///   - weight: [M,K], PyTorch's layout
///   - bias: [M]
///   - residual: [N,M]; not together with an activation
/// - Returns: [N,M]
public func linear(
    _ x: Tensor, weight: Tensor, bias: Tensor? = nil, activation: Activation? = nil, residual: Tensor? = nil
) -> Tensor {
    precondition(x.shape.count == 2 && x.columns == weight.columns, "linear: \(x.shape) does not fit \(weight.shape)")
    precondition(activation == nil || residual == nil, "linear: an activation and a residual exclude each other")
    let device = x.device
    let y = device.empty([x.rows, weight.rows])
    let parents = [x, weight, bias, residual]
    let isRecorded = Tape.isRecording && parents.contains { $0?.node != nil }
    let preactivation = activation != nil && isRecorded ? device.empty(y.shape) : nil
    device.matmul(
        x, transposed: false, weight, transposed: true, into: y,
        Epilogue(bias: bias, activation: activation, preactivation: preactivation, residual: residual))
    guard isRecorded else { return y }
    let wants = parents.map { $0?.node != nil }
    return y.recorded(from: parents) { [x = x.kept, weight = weight.detached] dy in
        var dz = dy
        if let activation, let preactivation { dz = activationGradient(activation, preactivation, dy) }
        return [
            wants[0] ? matmul(dz, weight) : nil,  // [N,M] x [M,K]
            wants[1] ? matmul(dz, x(), transposeA: true) : nil,  // [M,N] x [N,K]
            wants[2] ? sumRows(dz) : nil,
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
public func feedForward(
    _ x: Tensor, expand: (weight: Tensor, bias: Tensor?), activation: Activation,
    contract: (weight: Tensor, bias: Tensor?), residual: Tensor? = nil
) -> Tensor {
    let device = x.device
    let parents = [x, expand.weight, expand.bias, contract.weight, contract.bias, residual]
    let isRecorded = Tape.isRecording && parents.contains { $0?.node != nil }
    let preactivation = isRecorded ? device.empty([x.rows, expand.weight.rows]) : nil
    let y = withoutTape {
        let hidden = device.empty([x.rows, expand.weight.rows])
        device.matmul(
            x, transposed: false, expand.weight, transposed: true, into: hidden,
            Epilogue(bias: expand.bias, activation: activation, preactivation: preactivation))
        return linear(hidden, weight: contract.weight, bias: contract.bias, residual: residual)
    }
    guard let preactivation else { return y }
    let wants = parents.map { $0?.node != nil }
    return y.recorded(from: parents) {
        [x = x.kept, first = expand.weight.detached, second = contract.weight.detached] dy in
        let dz = device.empty(preactivation.shape)
        device.matmul(
            dy, transposed: false, second, transposed: false, into: dz, Epilogue(slope: (activation, preactivation)))
        let hidden = preactivation  // as the product has left it
        return [
            wants[0] ? matmul(dz, first) : nil,
            wants[1] ? matmul(dz, x(), transposeA: true) : nil,
            wants[2] ? sumRows(dz) : nil,
            wants[3] ? matmul(dy, hidden, transposeA: true) : nil,  // [M,N] x [N,H]
            wants[4] ? sumRows(dy) : nil,
            dy,
        ]
    }
}
