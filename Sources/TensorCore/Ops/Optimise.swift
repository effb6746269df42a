/// One AdamW step on all parameters, in place; see `Kernel.AdamW`. Stays on the device.
///
/// - Parameters:
///   - squares: float64, the sums of squares of all gradients (over ranks: also of those that others update)
///   - loss: [], that the gradients are of
/// - Returns: float64 [], the norm of all gradients
package func adamW(_ updates: [AdamWUpdate], squares: Tensor, loss: Tensor, _ step: AdamWStep) -> Tensor {
    precondition(squares.count >= updates.count, "adamW: \(squares.count) sums for \(updates.count) gradients")
    let norm = loss.device.empty([], .float64)
    loss.device.run(.adamW(.init(updates: updates, squares: squares, loss: loss, step: step, norm: norm)))
    return norm
}
