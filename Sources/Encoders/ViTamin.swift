package import Layers
import Support
package import TensorCore

/// timm's ViTamin.
package struct ViTaminShape: Sendable, Equatable {
    package struct Stage: Sendable, Equatable {
        package let channels: Int
        package let depth: Int
    }

    package var height: Int
    package var width: Int
    package var stem: Int
    /// The two convolutional stages.
    package var stages: [Stage]
    package var blocks: TransformerShape
    package var hasPositions: Bool
    package var hasProjectionBias: Bool
    package var embedWidth: Int

    /// Four halvings, rounded up as strided convolutions do.
    package var tokens: Int { ((height + 15) / 16) * ((width + 15) / 16) }

    init(_ json: JSON, embedWidth: Int, path: String) throws {
        let cfg = try Section(
            json, path: path, name: "vision_cfg",
            known: [
                "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_model_kwargs", "image_size",
                "timm_proj_bias", "timm_drop", "timm_drop_path",
            ], unless: ["patch_dropout": 0])
        let kwargs = try Section(
            json["timm_model_kwargs"] ?? .object([:]), path: path, name: "timm_model_kwargs",
            known: ["img_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "embed_cfg", "pos_embed"])
        let name = try cfg.string("timm_model_name")
        let words = name.split(separator: ".")[0].split(separator: "_")
        let registered: [Substring: (stem: Int, width: Int, depth: Int, heads: Int)] = [
            "small": (64, 384, 14, 6), "base": (128, 768, 14, 12), "large": (160, 1024, 31, 16),
            "large2": (160, 1024, 31, 16), "xlarge": (192, 1152, 32, 16),
        ]
        guard words.count == 3, let sizes = registered[words[1]] else {
            throw cfg.wrong("timm_model_name", "\(name) is not a ViTamin (small, base, large, large2, xlarge)")
        }
        try cfg.expect("timm_pool", "")
        try cfg.expect("timm_proj", "linear")
        (height, width) =
            try kwargs.has("img_size")
            ? kwargs.imageSides("img_size", default: 224) : cfg.imageSides("image_size", default: 224)
        let towerWidth = try kwargs.size("embed_dim", default: sizes.width)
        blocks = TransformerShape(
            width: towerWidth, layers: try kwargs.size("depth", default: sizes.depth),
            heads: try kwargs.size("num_heads", default: sizes.heads),
            mlpWidth: try kwargs.mlpWidth(towerWidth, default: 2), activation: .gelu, epsilon: 1e-6)
        guard towerWidth % blocks.heads == 0 else { throw kwargs.wrong("num_heads", "does not divide \(towerWidth)") }
        let convolutions = try Section(
            json["timm_model_kwargs"]?["embed_cfg"] ?? .object([:]), path: path, name: "embed_cfg",
            known: ["embed_dim", "depths", "stem_width"])
        stem = try convolutions.size("stem_width", default: sizes.stem)
        let channels = try convolutions.integers(
            "embed_dim", default: [sizes.stem, 2 * sizes.stem, sizes.width], in: 1...1 << 17)
        let depths = try convolutions.integers("depths", default: [2, 4, 1], in: 1...1000)
        guard channels.count == 3, depths.count >= 2, channels[2] == towerWidth else {
            throw convolutions.wrong("embed_dim", "needs two stages' channels and the tower's width, \(towerWidth)")
        }
        stages = zip(channels, depths).prefix(2).map { Stage(channels: $0, depth: $1) }
        let isExtraLarge = words[1] == "xlarge"
        hasPositions = try kwargs.choice(
            "pos_embed", default: isExtraLarge ? "none" : "learn", ["none": false, "learn": true])
        hasProjectionBias = try cfg.bool("timm_proj_bias", default: false)
        self.embedWidth = embedWidth
    }
}

/// ViTamin (Chen et al. 2024, arXiv:2404.02132): two stages of inverted-bottleneck convolutions to a sixteenth
/// of the size, then transformer blocks with gated MLPs, average pooling, a projection. timm's names.
package struct ViTamin: Module {
    package let shape: ViTaminShape
    var stem: (first: Convolution, norm: LayerNorm, second: Convolution)
    var stages: [[InvertedBottleneck]]
    var stridedConvolution: (norm: LayerNorm, convolution: Convolution)
    var positions: Parameter?  // [1,T,D]
    var transformer: Transformer
    var norm: LayerNorm
    var projection: Linear
    private let layouts = PerShape<(segments: Segments, places: Indices)>()

    init(_ source: some ParameterSource, _ shape: ViTaminShape) throws {
        self.shape = shape
        let (trunk, width) = ("visual.trunk", shape.blocks.width)
        let path = trunk + ".patch_embed.backbone"
        func convolution(_ name: String, _ inputs: Int, _ outputs: Int, stride: Int = 1) throws -> Convolution {
            try Convolution(
                source, "\(path).\(name)", (inputs, outputs), KernelShape(3, stride: stride), hasBias: true,
                weight: .fanOut(9 * outputs))
        }
        stem = (
            try convolution("stem.conv1", 3, shape.stem, stride: 2),
            try LayerNorm(source, path + ".stem.norm1", shape.stem, epsilon: 1e-6),
            try convolution("stem.conv2", shape.stem, shape.stem)
        )
        var inputs = shape.stem
        stages = try shape.stages.enumerated().map { stage, size in
            try (0..<size.depth).map { block in
                defer { inputs = size.channels }
                return try InvertedBottleneck(
                    source, "\(path).stages.\(stage).\(block)", inputs, size.channels, stride: block == 0 ? 2 : 1)
            }
        }
        stridedConvolution = (
            try LayerNorm(source, path + ".pool.norm", inputs, epsilon: 1e-6),
            try convolution("pool.proj", inputs, width, stride: 2)
        )
        if shape.hasPositions {
            positions = try source.parameter(trunk + ".pos_embed", [1, shape.tokens, width], .normal(deviation: 0.02))
        }
        transformer = try Transformer(source, trunk + ".blocks", shape.blocks, .vitamin)
        norm = try LayerNorm(source, trunk + ".fc_norm", width, epsilon: shape.blocks.epsilon)
        projection = try Linear(
            source, "visual.head.proj", width, shape.embedWidth, weight: .fanIn(width),
            bias: shape.hasProjectionBias ? .fanIn(width) : nil)
    }

    /// - Parameters:
    ///   - images: [B,3,H,W]
    ///   - trace: sees the tokens [B*T,D] after each transformer block
    /// - Returns: [B,E], not normalised
    package func callAsFunction(_ images: Tensor, trace: ((Int, Tensor) -> Void)? = nil) -> Tensor {
        var map = stem.first(FeatureMap(images: images)).map { stem.norm($0).activated(.gelu) }
        map = stages.joined().reduce(stem.second(map)) { $1($0) }
        map = stridedConvolution.convolution(map.map { stridedConvolution.norm($0) })
        let (segments, places) = layouts(map.count) {
            (
                Segments(count: map.count, length: shape.tokens),
                Indices((0..<map.count).flatMap { _ in 0..<shape.tokens })
            )
        }
        var x = map.rows
        if let positions {
            x = gatherRows(positions.value.reshaped([shape.tokens, shape.blocks.width]), places, addend: x)
        }
        x = transformer(x, segments, trace: trace)
        return projection(norm(segmentMean(x, segments)))
    }

    var recomputes: Bool {
        get { transformer.recomputes }
        set { transformer.recomputes = newValue }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try stem.first.visit(body)
        try stem.norm.visit(body)
        try stem.second.visit(body)
        try stages.visit(body)
        try stridedConvolution.norm.visit(body)
        try stridedConvolution.convolution.visit(body)
        try positions.visit(body)
        try transformer.visit(body)
        try norm.visit(body)
        try projection.visit(body)
    }
}

/// norm, 1x1 to four times the output's channels, GELU, depthwise 3x3 (with the stride), GELU, 1x1; and a shortcut.
struct InvertedBottleneck: Module {
    var norm: LayerNorm
    var expand: Convolution
    var depthwise: DepthwiseConvolution
    var contract: Convolution
    var shortcut: Convolution?
    /// nil at stride 1.
    let shrink: AveragePool?

    init(_ source: some ParameterSource, _ path: String, _ inputs: Int, _ outputs: Int, stride: Int) throws {
        shrink = stride > 1 ? AveragePool(kernel: 3, stride: stride, padding: 1) : nil
        let middle = 4 * outputs
        func pointwise(_ name: String, _ inputs: Int, _ outputs: Int) throws -> Convolution {
            try Convolution(
                source, "\(path).\(name)", (inputs, outputs), KernelShape(1), hasBias: true, weight: .fanOut(outputs))
        }
        norm = try LayerNorm(source, path + ".pre_norm", inputs, epsilon: 1e-6)
        expand = try pointwise("conv1_1x1", inputs, middle)
        depthwise = try DepthwiseConvolution(source, path + ".conv2_kxk", middle, stride: stride, weight: .fanOut(9))
        contract = try pointwise("conv3_1x1", middle, outputs)
        if inputs != outputs { shortcut = try pointwise(stride > 1 ? "shortcut.expand" : "shortcut", inputs, outputs) }
    }

    func callAsFunction(_ map: FeatureMap) -> FeatureMap {
        var short = shrink?(map) ?? map
        if let shortcut { short = shortcut(short) }
        let y = depthwise(expand(map.map { norm($0) }).map { $0.activated(.gelu) })
        return contract(y.map { $0.activated(.gelu) }).map { $0 + short.rows }
    }

    mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try norm.visit(body)
        try expand.visit(body)
        try depthwise.visit(body)
        try contract.visit(body)
        try shortcut.visit(body)
    }
}
