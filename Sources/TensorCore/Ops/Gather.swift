/// y[i] = x[indices[i]] (+ addend[i]): embeddings, positions, pooled tokens.
///
/// - Parameters:
///   - x: [V,D]
///   - indices: [N], each in 0..<V
///   - addend: [N,D]
/// - Returns: [N,D]
package func gatherRows(_ x: Tensor, _ indices: Indices, addend: Tensor? = nil) -> Tensor {
    precondition(x.shape.count == 2, "gatherRows needs a matrix")
    let y = x.empty([indices.count, x.columns])
    precondition(addend.map { $0.shape == y.shape } ?? true, "gatherRows: the addend's shape is not \(y.shape)")
    x.device.run(.gatherRows(.init(x: x, indices: indices, addend: addend, y: y)))
    return y.recorded(from: [x, addend]) { [shape = x.shape, wantsX = x.node != nil] dy in
        guard wantsX else { return [nil, dy] }
        let dx = dy.empty(shape)
        dy.device.run(.scatterAddRows(.init(dy: dy, indices: indices, dx: dx)))
        return [dx, dy]
    }
}
