package import TensorCore

extension ReferenceDevice {
    package func run(_ kernel: Kernel) {
        compute(kernel)
        for output in kernel.call.outputs where output.element == .bfloat16 {
            let values = doubles(output)
            for i in 0..<output.count { values[i] = Double(BFloat16.rounded(Float(values[i]))) }
        }
    }

    private func compute(_ kernel: Kernel) {
        switch kernel {
        case .fill(let call): fill(call.y, call.value)
        case .copy(let call): copy(call)
        case .convert(let call): convert(call)
        case .add(let call): add(call)
        case .accumulate(let call): accumulate(call)
        case .scale(let call): scale(call)
        case .scaleByElement(let call): scaleByElement(call)
        case .clamp(let call): clamp(call)
        case .multiply(let call): multiply(call)
        case .activate(let call): activate(call)
        case .activateGradient(let call): activateGradient(call)
        case .sumRows(let call): sumRows(call)
        case .sumOfSquares(let call): sumOfSquares(call)
        case .segmentMean(let call): segmentMean(call)
        case .segmentMeanGradient(let call): segmentMeanGradient(call)
        case .product(let call): product(call)
        case .gatherRows(let call): gatherRows(call)
        case .scatterAddRows(let call): scatterAddRows(call)
        case .layerNorm(let call): layerNorm(call)
        case .layerNormGradient(let call): layerNormGradient(call)
        case .normalizeRows(let call): normalizeRows(call)
        case .normalizeRowsGradient(let call): normalizeRowsGradient(call)
        case .columnMoments(let call): columnMoments(call)
        case .batchNorm(let call): batchNorm(call)
        case .batchNormGradient(let call): batchNormGradient(call)
        case .attention(let call): attention(call)
        case .attentionGradient(let call): attentionGradient(call)
        case .normalizePixels(let call): normalizePixels(call)
        case .patchify(let call): patchify(call)
        case .patchifyGradient(let call): patchifyGradient(call)
        case .unfold(let call): unfold(call)
        case .unfoldGradient(let call): unfoldGradient(call)
        case .depthwise(let call): depthwise(call)
        case .depthwiseGradient(let call): depthwiseGradient(call)
        case .contrastive(let call): contrastive(call)
        case .logSums(let call): logSums(call)
        case .contrastiveStrip(let call): contrastiveStrip(call)
        case .adamW(let call): adamW(call)
        }
    }
}
