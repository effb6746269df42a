/// The contrastive losses over all pairs of a batch, with no [B,B] matrix in memory.
///
/// With logits l = exp(logScale) images texts^T + logitBias:
/// softmax (Radford et al. 2021, arXiv:2103.00020): the mean of the cross-entropies of rows and columns,
/// the diagonal being right; sigmoid (Zhai et al. 2023, arXiv:2303.15343, eq. 1):
/// (sum softplus(l) - sum of the diagonal of l) / B.
/// - Parameters:
///   - images: [B,E], unit rows, float32
///   - texts: [B,E], unit rows, float32; row i belongs to image i
///   - logScale: one element, the logarithm of the logit scale
///   - logitBias: one element; sigmoid only
/// - Returns: [], nats per image. The gradients are computed with the loss and kept for `backward`.
package func contrastiveLoss(
    _ kind: ContrastiveKind, images: Tensor, texts: Tensor, logScale: Tensor, logitBias: Tensor?
) -> Tensor {
    precondition(images.shape == texts.shape, "contrastive loss: \(images.shape) images, \(texts.shape) texts")
    precondition(logScale.count == 1 && (logitBias?.count ?? 1) == 1, "the logit scale and bias are single values")
    let device = images.device
    let call = Kernel.Contrastive(
        kind: kind, images: images.detached, texts: texts.detached, logScale: logScale.detached,
        logitBias: logitBias?.detached, loss: device.empty([]), dImages: device.empty(images.shape),
        dTexts: device.empty(texts.shape), dLogScale: device.empty(logScale.shape),
        dBias: device.empty(logitBias?.shape ?? []))
    device.run(.contrastive(call))
    let gradients = [call.dImages, call.dTexts, call.dLogScale, call.dBias]
    return call.loss.recorded(from: [images, texts, logScale, logitBias]) { dLoss in
        // In place: nobody else has seen them.
        for gradient in gradients { device.run(.scaleByElement(.init(x: gradient, factor: dLoss, y: gradient))) }
        return gradients
    }
}

/// Of each of this rank's rows the log-sum-exp of its logits and its own logit; see `Kernel.LogSums`.
///
/// - Parameters:
///   - mine: [b,E], unit rows
///   - all: [B,E], unit rows of the other side, this rank's from `offset` on
///   - slice: rows of a slice, which divides b
/// - Returns: [b] and [b]
package func contrastiveLogSums(mine: Tensor, all: Tensor, logScale: Tensor, offset: Int, slice: Int) -> (
    sums: Tensor, own: Tensor
) {
    let device = mine.device
    let call = Kernel.LogSums(
        mine: mine.detached, all: all, logScale: logScale.detached, offset: offset, slice: slice,
        sums: device.empty([mine.rows]), own: device.empty([mine.rows]))
    device.run(.logSums(call))
    return (call.sums, call.own)
}

/// The gradients of this rank's rows, [b,E], and float64 [b,3] parts of loss, d/d log scale and d/d bias; see
/// `Kernel.ContrastiveStrip`.
///
/// - Parameter softmax: of `contrastiveLogSums`, the other side's [B] gathered; nil: sigmoid
package func contrastiveStrip(
    mine: Tensor, all: Tensor, scalars: (logScale: Tensor, logitBias: Tensor?), offset: Int, slice: Int,
    softmax: (sums: Tensor, own: Tensor, others: Tensor)?
) -> (gradient: Tensor, parts: Tensor) {
    precondition(mine.rows % slice == 0, "\(mine.rows) rows are not slices of \(slice)")
    let device = mine.device
    let call = Kernel.ContrastiveStrip(
        mine: mine.detached, all: all, logScale: scalars.logScale.detached,
        logitBias: softmax == nil ? scalars.logitBias?.detached : nil, offset: offset, slice: slice, softmax: softmax,
        gradient: device.empty(mine.shape), parts: device.empty([mine.rows, 3], .float64))
    device.run(.contrastiveStrip(call))
    return (call.gradient, call.parts)
}
