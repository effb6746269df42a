/// One call of a kernel: its operands, row-major, and what it costs. Each is a struct under Kernels/, a family a file.
package protocol KernelCall: Sendable {
    /// What a profile calls it; calls of one name are added up.
    var name: String { get }
    /// Read and left as they are.
    var inputs: [Tensor] { get }
    /// Filled, or changed in place.
    var outputs: [Tensor] { get }
    /// Multiplications and additions of its products; 0 where it has none.
    var flops: Int { get }
}

extension KernelCall {
    package var flops: Int { 0 }

    /// Moved when every operand passes once.
    package var bytes: Int {
        inputs.reduce(0) { $0 + $1.count * $1.element.bytes } + outputs.reduce(0) { $0 + $1.count * $1.element.bytes }
    }
}

/// Everything that a device computes: a closed list of calls as values. What times, checks or replays them does it here,
/// once; a device switches over them.
package enum Kernel: Sendable {
    // Pointwise
    case fill(Fill), copy(Copy), convert(Convert), add(Add), accumulate(Accumulate), scale(Scale)
    case scaleByElement(ScaleByElement), clamp(Clamp), multiply(Multiply), activate(Activate)
    case activateGradient(ActivateGradient)
    // Reductions
    case sumRows(SumRows), sumOfSquares(SumOfSquares), segmentMean(SegmentMean)
    case segmentMeanGradient(SegmentMeanGradient)
    // Products
    case product(Product)
    // Rows by index
    case gatherRows(GatherRows), scatterAddRows(ScatterAddRows)
    // Normalisation
    case layerNorm(LayerNorm), layerNormGradient(LayerNormGradient), normalizeRows(NormalizeRows)
    case normalizeRowsGradient(NormalizeRowsGradient), columnMoments(ColumnMoments), batchNorm(BatchNorm)
    case batchNormGradient(BatchNormGradient)
    // Attention
    case attention(Attention), attentionGradient(AttentionGradient)
    // Images
    case normalizePixels(NormalizePixels), patchify(Patchify), patchifyGradient(PatchifyGradient)
    // Convolutions
    case unfold(Unfold), unfoldGradient(UnfoldGradient), depthwise(Depthwise), depthwiseGradient(DepthwiseGradient)
    // Objectives and the optimiser
    case contrastive(Contrastive), logSums(LogSums), contrastiveStrip(ContrastiveStrip), adamW(AdamW)

    /// What all calls have in common.
    package var call: any KernelCall {
        switch self {
        case .fill(let call): call
        case .copy(let call): call
        case .convert(let call): call
        case .add(let call): call
        case .accumulate(let call): call
        case .scale(let call): call
        case .scaleByElement(let call): call
        case .clamp(let call): call
        case .multiply(let call): call
        case .activate(let call): call
        case .activateGradient(let call): call
        case .sumRows(let call): call
        case .sumOfSquares(let call): call
        case .segmentMean(let call): call
        case .segmentMeanGradient(let call): call
        case .product(let call): call
        case .gatherRows(let call): call
        case .scatterAddRows(let call): call
        case .layerNorm(let call): call
        case .layerNormGradient(let call): call
        case .normalizeRows(let call): call
        case .normalizeRowsGradient(let call): call
        case .columnMoments(let call): call
        case .batchNorm(let call): call
        case .batchNormGradient(let call): call
        case .attention(let call): call
        case .attentionGradient(let call): call
        case .normalizePixels(let call): call
        case .patchify(let call): call
        case .patchifyGradient(let call): call
        case .unfold(let call): call
        case .unfoldGradient(let call): call
        case .depthwise(let call): call
        case .depthwiseGradient(let call): call
        case .contrastive(let call): call
        case .logSums(let call): call
        case .contrastiveStrip(let call): call
        case .adamW(let call): call
        }
    }
}
