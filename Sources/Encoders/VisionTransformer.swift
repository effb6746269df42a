import Layers
import TensorCore

/// The image tower: patches to tokens, blocks, pooling, projection (Dosovitskiy et al. 2020,
/// arXiv:2010.11929; pooling by class token, average or attention).
public struct VisionTransformer: Module {
    public let shape: VisionShape
    var patchWeight: Parameter  // [D,3,p,p]
    var patchBias: Parameter?  // [D]
    var classToken: Parameter?  // [D]
    var positions: Parameter  // [T,D], or [1,T,D] in timm's files
    var normBefore: LayerNorm?
    public var transformer: Transformer
    public var normAfter: LayerNorm
    var pool: AttentionPool?
    var attentionalPooler: AttentionalPooler?
    var projection: Parameter?  // [D,E], or [E,D] in timm's files
    var projectionBias: Parameter?  // [E]

    init(_ source: some ParameterSource, _ shape: VisionShape) throws {
        self.shape = shape
        let (width, patch, epsilon) = (shape.blocks.width, shape.patch, shape.blocks.epsilon)
        let small = Initial.normal(deviation: 1 / Double(width).squareRoot())
        switch shape.style {
        case .openCLIPImage, .openCLIPText:
            patchWeight = try source.parameter(
                "visual.conv1.weight", [width, 3, patch, patch], .fanIn(3 * patch * patch))
            classToken = try source.parameter("visual.class_embedding", [width], small)
            positions = try source.parameter("visual.positional_embedding", [shape.patches + 1, width], small)
            if shape.hasNormBefore { normBefore = try LayerNorm(source, "visual.ln_pre", width, epsilon: epsilon) }
            transformer = try Transformer(source, "visual.transformer.resblocks", shape.blocks, shape.style)
            var pooledWidth = width
            if case .queries(let count, let heads) = shape.pooling {
                pooledWidth = shape.embedWidth
                attentionalPooler = try AttentionalPooler(
                    source, "visual.attn_pool", tokenWidth: width, width: pooledWidth, heads: heads, queries: count,
                    epsilon: epsilon)
            }
            normAfter = try LayerNorm(source, "visual.ln_post", pooledWidth, epsilon: epsilon)
            projection = try source.parameter("visual.proj", [pooledWidth, shape.embedWidth], small)
        case .timm, .vitamin:
            let path = "visual.trunk"
            let fanIn = 3 * patch * patch
            patchWeight = try source.parameter(
                path + ".patch_embed.proj.weight", [width, 3, patch, patch], .xavier(fanIn, width))
            patchBias = try source.parameter(path + ".patch_embed.proj.bias", [width], .zeros)
            positions = try source.parameter(path + ".pos_embed", [1, shape.patches, width], small)
            transformer = try Transformer(source, path + ".blocks", shape.blocks, shape.style)
            normAfter = try LayerNorm(source, path + ".norm", width, epsilon: epsilon)
            pool = try AttentionPool(source, path + ".attn_pool", shape.blocks)
            if case .linear(let bias) = shape.projection {
                projection = try source.parameter("visual.head.proj.weight", [shape.embedWidth, width], .fanIn(width))
                if bias {
                    projectionBias = try source.parameter("visual.head.proj.bias", [shape.embedWidth], .fanIn(width))
                }
            }
        }
    }

    /// - Parameters:
    ///   - images: [B,3,H,W], normalised as the model's preprocessing says
    ///   - trace: sees the tokens [B*T,D] after each block
    /// - Returns: [B,E], not normalised
    public func callAsFunction(_ images: Tensor, trace: ((Int, Tensor) -> Void)? = nil) -> Tensor {
        let (count, width) = (images.shape[0], shape.blocks.width)
        let tokens = shape.patches + (shape.hasClassToken ? 1 : 0)
        let segments = Segments(count: count, length: tokens)
        let kernel = patchWeight.value.reshaped([width, 3 * shape.patch * shape.patch])
        let patches = linear(patchify(images, patch: shape.patch), weight: kernel, bias: patchBias?.value)  // [B*P,D]
        var x = embed(patches, count: count, tokens: tokens)  // [B*T,D]
        if let normBefore { x = normBefore(x) }
        let pooled = read(x, segments, trace)  // [B,D]
        switch shape.projection {
        case .none: return pooled
        case .matrix: return matmul(pooled, projection!.value)
        case .linear: return linear(pooled, weight: projection!.value, bias: projectionBias?.value)
        }
    }

    /// Class token before the patches of each image, positions added.
    private func embed(_ patches: Tensor, count: Int, tokens: Int) -> Tensor {
        let device = patches.device
        let table = positions.value.reshaped([tokens, shape.blocks.width])
        let position = device.tensor((0..<count * tokens).map { Int32($0 % tokens) }, shape: [count * tokens])
        guard let classToken else { return gatherRows(table, position, addend: patches) }
        let rows = (0..<count * tokens).map { index in
            index % tokens == 0 ? Int32(0) : Int32(index / tokens * (tokens - 1) + index % tokens)
        }
        let stacked = concatenate([classToken.value.reshaped([1, shape.blocks.width]), patches])
        return gatherRows(table, position, addend: gatherRows(stacked, device.tensor(rows, shape: [rows.count])))
    }

    /// The blocks, and what is read of them, [B,D]; a norm acts on each token alone, so it may follow the reading.
    private func read(_ x: Tensor, _ segments: Segments, _ trace: ((Int, Tensor) -> Void)?) -> Tensor {
        func tokens() -> Tensor { transformer(x, segments, trace: trace) }
        switch shape.pooling {
        case .classToken:
            let first = segments.offsets.dropLast().map { Int32($0) }
            return normAfter(transformer(x, segments, reading: first, trace: trace))
        case .attention: return pool!(normAfter(tokens()), segments)
        case .queries: return normAfter(attentionalPooler!(tokens(), segments))
        case .average:
            let x = tokens()
            let patches = (0..<segments.count).flatMap { s in segments[s].dropFirst().map { Int32($0) } }
            let kept = Segments(count: segments.count, length: patches.count / segments.count)
            let y = gatherRows(
                shape.isNormAfterPooling ? x : normAfter(x), x.device.tensor(patches, shape: [patches.count]))
            return shape.isNormAfterPooling ? normAfter(segmentMean(y, kept)) : segmentMean(y, kept)
        }
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&patchWeight)
        if patchBias != nil { try body(&patchBias!) }
        if classToken != nil { try body(&classToken!) }
        try body(&positions)
        if normBefore != nil { try normBefore!.visit(body) }
        try transformer.visit(body)
        try normAfter.visit(body)
        if pool != nil { try pool!.visit(body) }
        if attentionalPooler != nil { try attentionalPooler!.visit(body) }
        if projection != nil { try body(&projection!) }
        if projectionBias != nil { try body(&projectionBias!) }
    }
}
