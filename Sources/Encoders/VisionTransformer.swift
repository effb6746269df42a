package import Layers
import Support
package import TensorCore

/// The image tower of the ViT family.
package struct VisionShape: Sendable, Equatable {
    package enum Pooling: Sendable, Equatable {
        case classToken, average, attention
        /// CoCa: the first of several learned queries.
        case queries(count: Int, heads: Int)
    }
    package enum Projection: Sendable, Equatable { case none, matrix, linear(bias: Bool) }

    package var height: Int
    package var width: Int
    package var patch: Int
    package var blocks: TransformerShape
    package var style: BlockStyle
    package var hasClassToken: Bool
    package var hasPatchBias: Bool
    package var hasNormBefore: Bool
    package var isNormAfterPooling: Bool
    package var pooling: Pooling
    package var projection: Projection
    package var embedWidth: Int

    /// Of what the norm after the blocks takes.
    var pooledWidth: Int { if case .queries = pooling { embedWidth } else { blocks.width } }

    /// Tokens that come from patches.
    package var patches: Int { (height / patch) * (width / patch) }

    init(_ json: JSON, embedWidth: Int, quickGELU: Bool, path: String) throws {
        if json["timm_model_name"]?.string != nil {
            self = try VisionShape(timm: json, embedWidth: embedWidth, path: path)
            return
        }
        let cfg = try Section(
            json, path: path, name: "vision_cfg",
            known: [
                "layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "no_ln_pre", "pool_type",
                "final_ln_after_pool", "act_kwargs", "hidden_act", "norm_kwargs", "output_tokens", "pos_embed_type",
                "attentional_pool",
                "attn_pooler_queries", "attn_pooler_heads",
            ],
            unless: [
                "ls_init_value": .null, "patch_dropout": 0, "qk_norm": false,
                "scaled_cosine_attn": false,
                "scale_heads": false, "scale_attn_inner": false, "scale_attn": false, "scale_fc": false,
                "block_type": "default",
            ])
        try cfg.expect("pos_embed_type", "learnable")
        (height, width) = try cfg.imageSides("image_size", default: 224)
        patch = try cfg.size("patch_size", default: 16)
        let towerWidth = try cfg.size("width", default: 768)
        let headWidth = try cfg.size("head_width", default: 64)
        guard towerWidth % headWidth == 0 else {
            throw cfg.wrong("head_width", "\(towerWidth) is not divisible by \(headWidth)")
        }
        guard height >= patch, width >= patch else { throw cfg.wrong("image_size", "smaller than one patch") }
        blocks = TransformerShape(
            width: towerWidth, layers: try cfg.size("layers", default: 12), heads: towerWidth / headWidth,
            mlpWidth: try cfg.mlpWidth(towerWidth, default: 4),
            activation: try cfg.activation(quickGELU: quickGELU), epsilon: try cfg.epsilon(default: 1e-5))
        style = .openCLIPImage
        hasClassToken = true
        hasPatchBias = false
        hasNormBefore = !(try cfg.bool("no_ln_pre", default: false))
        isNormAfterPooling = try cfg.bool("final_ln_after_pool", default: false)
        pooling = try cfg.choice("pool_type", default: "tok", ["tok": .classToken, "avg": .average])
        if try cfg.bool("attentional_pool", default: false) {
            pooling = .queries(
                count: try cfg.size("attn_pooler_queries", default: 256),
                heads: try cfg.size("attn_pooler_heads", default: 8))
        }
        projection = .matrix
        self.embedWidth = embedWidth
    }

    /// timm's SigLIP towers: no class token, a bias on the patches, attention pooling. The sizes follow
    /// from the registered name; `timm_model_kwargs` (our key) changes them.
    private init(timm json: JSON, embedWidth: Int, path: String) throws {
        let name = json["timm_model_name"]?.string ?? ""
        guard let sizes = Self.timmSizes(name) else {
            throw Failure(
                .badData, path,
                "vision_cfg.timm_model_name: \(name) is not a tower this version builds (vit_*_siglip_*, vitamin_*)")
        }
        let cfg = try Section(
            json, path: path, name: "vision_cfg",
            known: [
                "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_model_kwargs", "image_size",
                "timm_proj_bias",
            ],
            unless: ["timm_drop": 0, "timm_drop_path": .null, "patch_dropout": 0])
        let kwargs = try Section(
            json["timm_model_kwargs"] ?? .object([:]), path: path, name: "timm_model_kwargs",
            known: ["img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "act_layer"])
        try cfg.expect("timm_pool", "map")
        (height, width) =
            try kwargs.has("img_size")
            ? kwargs.imageSides("img_size", default: 224) : cfg.imageSides("image_size", default: 224)
        patch = try kwargs.size("patch_size", default: sizes.patch)
        let towerWidth = try kwargs.size("embed_dim", default: sizes.width)
        blocks = TransformerShape(
            width: towerWidth, layers: try kwargs.size("depth", default: sizes.layers),
            heads: try kwargs.size("num_heads", default: sizes.heads),
            mlpWidth: try kwargs.mlpWidth(towerWidth, default: sizes.mlpRatio),
            activation: try kwargs.has("act_layer")
                ? kwargs.choice("act_layer", default: "gelu", ["gelu": .gelu, "gelu_tanh": .geluTanh])
                : sizes.activation,
            epsilon: 1e-6)
        guard towerWidth % blocks.heads == 0 else { throw kwargs.wrong("num_heads", "does not divide \(towerWidth)") }
        guard height >= patch, width >= patch else { throw cfg.wrong("image_size", "smaller than one patch") }
        style = .timm
        hasClassToken = false
        hasPatchBias = true
        hasNormBefore = false
        isNormAfterPooling = false
        pooling = .attention
        projection = try cfg.choice(
            "timm_proj", default: "linear",
            ["none": .none, "linear": .linear(bias: try cfg.bool("timm_proj_bias", default: false))])
        if projection == .none, towerWidth != embedWidth {
            throw cfg.wrong(
                "timm_proj", "without a projection embed_dim (\(embedWidth)) must be the tower's width (\(towerWidth))")
        }
        self.embedWidth = embedWidth
    }

    private struct TimmSizes {
        let patch: Int
        let width: Int
        let layers: Int
        var heads = 16
        var mlpRatio = 4.0
        let activation: Activation
    }

    /// timm's registered `vit_<size>_patch<p>_siglip_<resolution>`: those added with SigLIP 2 use the tanh GELU.
    private static func timmSizes(_ name: String) -> TimmSizes? {
        let words = name.split(separator: ".").first?.split(separator: "_") ?? []
        guard words.count == 5, words[0] == "vit", words[3] == "siglip", words[2].hasPrefix("patch"),
            let patch = Int(words[2].dropFirst(5)), let side = Int(words[4])
        else { return nil }
        switch words[1] {
        case "base":
            return TimmSizes(
                patch: patch, width: 768, layers: 12, heads: 12, activation: patch == 32 ? .geluTanh : .gelu)
        case "large":
            return TimmSizes(patch: patch, width: 1024, layers: 24, activation: side == 512 ? .geluTanh : .gelu)
        case "so400m":
            return TimmSizes(
                patch: patch, width: 1152, layers: 27, mlpRatio: 3.7362, activation: patch == 16 ? .geluTanh : .gelu)
        case "giantopt": return TimmSizes(patch: patch, width: 1536, layers: 40, activation: .geluTanh)
        default: return nil
        }
    }
}

/// The image tower: patches to tokens, blocks, pooling, projection (Dosovitskiy et al. 2020,
/// arXiv:2010.11929; pooling by class token, average or attention).
package struct VisionTransformer: Module {
    package let shape: VisionShape
    var patchWeight: Parameter  // [D,3,p,p]
    var patchBias: Parameter?  // [D]
    var classToken: Parameter?  // [D]
    var positions: Parameter  // [T,D], or [1,T,D] in timm's files
    var normBefore: LayerNorm?
    package var transformer: Transformer
    var reader: Reader
    var projection: Projection
    private let layouts = PerShape<Layout>()

    /// What is read of an image's tokens, and the norm on the way: [N,D] -> [B,D].
    enum Reader: Module {
        case classToken(LayerNorm)
        /// The mean of the patches, normed before or after.
        case average(LayerNorm, isNormAfter: Bool)
        case attention(LayerNorm, AttentionPool)
        case queries(LayerNorm, AttentionalPooler)

        mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
            switch self {
            case .classToken(var norm):
                try norm.visit(body)
                self = .classToken(norm)
            case .average(var norm, let isNormAfter):
                try norm.visit(body)
                self = .average(norm, isNormAfter: isNormAfter)
            case .attention(var norm, var pool):
                try norm.visit(body)
                try pool.visit(body)
                self = .attention(norm, pool)
            case .queries(var norm, var pooler):
                try norm.visit(body)
                try pooler.visit(body)
                self = .queries(norm, pooler)
            }
        }
    }

    /// The norm after the blocks.
    package var normAfter: LayerNorm {
        switch reader {
        case .classToken(let norm), .average(let norm, _), .attention(let norm, _), .queries(let norm, _): norm
        }
    }

    /// Which rows are what, of B images.
    private struct Layout: Sendable {
        let segments: Segments
        /// Each token's place in its image: [B*T].
        let places: Indices
        /// Of class token and patches stacked: [B*T]; nil without a class token.
        let order: Indices?
        let classTokens: Reading
        /// Without class tokens: [B*P].
        let patches: Indices
        let patchSegments: Segments

        init(count: Int, patches: Int, hasClassToken: Bool) {
            let tokens = patches + (hasClassToken ? 1 : 0)
            segments = Segments(count: count, length: tokens)
            places = Indices((0..<count * tokens).map { $0 % tokens })
            order =
                hasClassToken
                ? Indices((0..<count * tokens).map { $0 % tokens == 0 ? 0 : $0 / tokens * patches + $0 % tokens }) : nil
            classTokens = Reading(segments.firsts)
            let first = hasClassToken ? 1 : 0
            self.patches = Indices((0..<count).flatMap { image in (first..<tokens).map { image * tokens + $0 } })
            patchSegments = Segments(count: count, length: patches)
        }
    }

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
            reader = try Self.reader(source, shape)
            projection = .matrix(try source.parameter("visual.proj", [shape.pooledWidth, shape.embedWidth], small))
        case .timm, .vitamin:
            let path = "visual.trunk"
            let fanIn = 3 * patch * patch
            patchWeight = try source.parameter(
                path + ".patch_embed.proj.weight", [width, 3, patch, patch], .xavier(fanIn, width))
            patchBias = try source.parameter(path + ".patch_embed.proj.bias", [width], .zeros)
            positions = try source.parameter(path + ".pos_embed", [1, shape.patches, width], small)
            transformer = try Transformer(source, path + ".blocks", shape.blocks, shape.style)
            reader = .attention(
                try LayerNorm(source, path + ".norm", width, epsilon: epsilon),
                try AttentionPool(source, path + ".attn_pool", shape.blocks))
            guard case .linear(let hasBias) = shape.projection else {
                projection = .none
                return
            }
            projection = .linear(
                try source.parameter("visual.head.proj.weight", [shape.embedWidth, width], .fanIn(width)),
                bias: hasBias
                    ? try source.parameter("visual.head.proj.bias", [shape.embedWidth], .fanIn(width)) : nil)
        }
    }

    /// open_clip's, with its names.
    private static func reader(_ source: some ParameterSource, _ shape: VisionShape) throws -> Reader {
        let norm = try LayerNorm(source, "visual.ln_post", shape.pooledWidth, epsilon: shape.blocks.epsilon)
        switch shape.pooling {
        case .classToken: return .classToken(norm)
        case .average: return .average(norm, isNormAfter: shape.isNormAfterPooling)
        case .attention: return .attention(norm, try AttentionPool(source, "visual.attn_pool", shape.blocks))
        case .queries(let count, let heads):
            let pooler = PoolerShape(
                width: shape.pooledWidth, heads: heads, queries: count, epsilon: shape.blocks.epsilon)
            return .queries(
                norm,
                try AttentionalPooler(source, "visual.attn_pool", tokenWidth: shape.blocks.width, pooler))
        }
    }

    /// - Parameters:
    ///   - images: [B,3,H,W], normalised as the model's preprocessing says
    ///   - trace: sees the tokens [B*T,D] after each block
    /// - Returns: [B,E], not normalised
    package func callAsFunction(_ images: Tensor, trace: ((Int, Tensor) -> Void)? = nil) -> Tensor {
        let (count, width) = (images.shape[0], shape.blocks.width)
        let layout = layouts(count) {
            Layout(count: count, patches: shape.patches, hasClassToken: shape.hasClassToken)
        }
        let kernel = patchWeight.value.reshaped([width, 3 * shape.patch * shape.patch])
        let pixels = patchify(images, patch: shape.patch).converted(to: kernel.element)  // [B*P,3pp]
        let patches = linear(pixels, weight: kernel, bias: patchBias?.value)  // [B*P,D]
        var x = embed(patches, layout)  // [B*T,D]
        if let normBefore { x = normBefore(x) }
        return projection(read(x, layout, trace))  // [B,D] -> [B,E]
    }

    /// Class token before the patches of each image, positions added.
    private func embed(_ patches: Tensor, _ layout: Layout) -> Tensor {
        let width = shape.blocks.width
        let table = positions.value.reshaped([positions.value.count / width, width])
        guard let classToken, let order = layout.order else {
            return gatherRows(table, layout.places, addend: patches)
        }
        let stacked = concatenate([classToken.value.reshaped([1, width]), patches])
        return gatherRows(table, layout.places, addend: gatherRows(stacked, order))
    }

    /// The blocks, and what is read of them, [B,D]; a norm acts on each token alone, so it may follow the reading.
    private func read(_ x: Tensor, _ layout: Layout, _ trace: ((Int, Tensor) -> Void)?) -> Tensor {
        let segments = layout.segments
        switch reader {
        case .classToken(let norm): return norm(transformer(x, segments, layout.classTokens, trace: trace))
        case .attention(let norm, let pool): return pool(norm(transformer(x, segments, trace: trace)), segments)
        case .queries(let norm, let pooler): return norm(pooler(transformer(x, segments, trace: trace), segments))
        case .average(let norm, let isNormAfter):
            let y = transformer(x, segments, trace: trace)
            let patches = gatherRows(isNormAfter ? y : norm(y), layout.patches)
            let mean = segmentMean(patches, layout.patchSegments)
            return isNormAfter ? norm(mean) : mean
        }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try patchWeight.visit(body)
        try patchBias.visit(body)
        try classToken.visit(body)
        try positions.visit(body)
        try normBefore.visit(body)
        try transformer.visit(body)
        try reader.visit(body)
        try projection.visit(body)
    }
}
