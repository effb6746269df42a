/// Gradient checkpointing (Chen et al. 2016, arXiv:1604.06174): `body` runs now without recording and
/// once more, recorded, when its gradient is due. Costs one more forward pass, keeps only `x`.
///
/// Parameters watched inside `body` receive their gradients as if it had been recorded the first time.
package func recompute(_ x: Tensor, _ body: @escaping (Tensor) -> Tensor) -> Tensor {
    let y = withoutTape { body(x.detached) }
    guard Tape.isRecording else { return y }
    let input = x.node == nil ? x.watched() : x
    return y.recorded(from: [input]) { dy in
        let again = x.detached.watched()
        body(again).backward(dy)
        return [again.gradient]
    }
}
