/// y[i] = x[indices[i]] (+ addend[i]): embeddings, positions, pooled tokens.
///
/// - Parameters:
///   - x: [V,D]
///   - indices: int32 [N], each in 0..<V
///   - addend: [N,D]
/// - Returns: [N,D]
public func gatherRows(_ x: Tensor, _ indices: Tensor, addend: Tensor? = nil) -> Tensor {
    precondition(x.shape.count == 2 && indices.element == .int32, "gatherRows needs a matrix and int32 indices")
    let y = x.device.empty([indices.count, x.columns])
    precondition(addend == nil || addend!.shape == y.shape, "gatherRows: the addend's shape is not \(y.shape)")
    x.device.gatherRows(x, indices, addend: addend, into: y)
    return y.recorded(from: [x, addend]) { [shape = x.shape, wantsX = x.node != nil] dy in
        guard wantsX else { return [nil, dy] }
        let dx = dy.device.empty(shape)
        dy.device.scatterAddRows(dy, indices, into: dx)
        return [dx, dy]
    }
}
