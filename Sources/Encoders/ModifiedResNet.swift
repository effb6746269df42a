import Layers
import Support
package import TensorCore

/// CLIP's ModifiedResNet.
package struct ResNetShape: Sendable, Equatable {
    package var side: Int
    /// Blocks of the four stages.
    package var layers: [Int]
    package var width: Int
    package var heads: Int
    package var embedWidth: Int

    package var featureWidth: Int { width * 32 }
    /// Pixels of the last map.
    package var pixels: Int { (side / 32) * (side / 32) }

    init(_ json: JSON, embedWidth: Int, path: String) throws {
        let cfg = try Section(
            json, path: path, name: "vision_cfg",
            known: ["layers", "width", "head_width", "image_size", "patch_size", "output_tokens"])
        layers = try cfg.integers("layers", in: 1...100)
        guard layers.count == 4 else { throw cfg.wrong("layers", "a ResNet needs four numbers of blocks") }
        let size = try cfg.imageSides("image_size", default: 224)
        guard size.height == size.width, size.height >= 32 else {
            throw cfg.wrong("image_size", "a ResNet needs a square of at least 32")
        }
        side = size.height
        width = try cfg.size("width", default: 64)
        let headWidth = try cfg.size("head_width", default: 64)
        heads = width * 32 / headWidth
        guard heads > 0, width * 32 % heads == 0, width % 2 == 0 else {
            throw cfg.wrong("head_width", "\(headWidth) does not divide 32 x \(width)")
        }
        self.embedWidth = embedWidth
    }
}

/// CLIP's ResNet (Radford et al. 2021, arXiv:2103.00020, section 2.4): a stem of three convolutions, average
/// pooling before every stride, attention pooling at the end.
package struct ModifiedResNet: Module {
    package let shape: ResNetShape
    var stem: [ConvolutionNorm]
    var stages: [[Bottleneck]]
    var pool: ResNetPool
    private let shrink = AveragePool(kernel: 2, stride: 2)

    init(_ source: some ParameterSource, _ shape: ResNetShape) throws {
        self.shape = shape
        let width = shape.width
        stem = try [(1, 3, width / 2, 2), (2, width / 2, width / 2, 1), (3, width / 2, width, 1)].map {
            index, inputs, outputs, stride in
            try ConvolutionNorm(
                source, ("visual.conv\(index)", "visual.bn\(index)"), (inputs, outputs), KernelShape(3, stride: stride))
        }
        var inputs = width
        stages = try shape.layers.enumerated().map { stage, count in
            try (0..<count).map { block in
                defer { inputs = width * 4 << stage }
                return try Bottleneck(
                    source, "visual.layer\(stage + 1).\(block)", inputs, width << stage,
                    stride: stage > 0 && block == 0 ? 2 : 1)
            }
        }
        pool = try ResNetPool(source, shape)
    }

    /// - Parameters:
    ///   - images: [B,3,H,W]
    ///   - trace: sees the stem's map and each stage's, as rows of pixels
    /// - Returns: [B,E], not normalised
    package func callAsFunction(_ images: Tensor, trace: ((Int, Tensor) -> Void)? = nil) -> Tensor {
        var map = stem.reduce(FeatureMap(images: images)) { map, layer in layer(map).map { $0.activated(.relu) } }
        map = shrink(map)
        trace?(0, map.rows)
        for (index, stage) in stages.enumerated() {
            map = stage.reduce(map) { $1($0) }
            trace?(index + 1, map.rows)
        }
        return pool(map)
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try stem.visit(body)
        try stages.visit(body)
        try pool.visit(body)
    }

    var batchNorms: BatchNormUse {
        get { stem[0].norm.use }
        set {
            for index in stem.indices { stem[index].norm.use = newValue }
            for stage in stages.indices {
                for block in stages[stage].indices { stages[stage][block].use(newValue) }
            }
        }
    }
}

/// A convolution without bias and its batch normalisation.
struct ConvolutionNorm: Module {
    var convolution: Convolution
    var norm: BatchNorm

    init(
        _ source: some ParameterSource, _ paths: (convolution: String, norm: String),
        _ channels: (inputs: Int, outputs: Int), _ shape: KernelShape, normWeight: Initial = .ones
    ) throws {
        convolution = try Convolution(
            source, paths.convolution, channels, shape, hasBias: false,
            weight: .fanIn(channels.inputs * shape.kernel * shape.kernel))
        norm = try BatchNorm(source, paths.norm, channels.outputs, weight: normWeight)
    }

    func callAsFunction(_ map: FeatureMap) -> FeatureMap { norm(convolution(map)) }

    mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try convolution.visit(body)
        try norm.visit(body)
    }
}

/// 1x1, 3x3, 1x1 to four times the channels, and a shortcut; strides are average pools.
struct Bottleneck: Module {
    var layers: [ConvolutionNorm]
    var shortcut: ConvolutionNorm?
    /// nil at stride 1.
    let shrink: AveragePool?

    init(_ source: some ParameterSource, _ path: String, _ inputs: Int, _ planes: Int, stride: Int) throws {
        shrink = stride > 1 ? AveragePool(kernel: stride, stride: stride) : nil
        layers = try [(1, inputs, planes, 1), (2, planes, planes, 3), (3, planes, 4 * planes, 1)].map {
            index, inputs, outputs, kernel in
            try ConvolutionNorm(
                source, ("\(path).conv\(index)", "\(path).bn\(index)"), (inputs, outputs), KernelShape(kernel),
                normWeight: index == 3 ? .zeros : .ones)
        }
        if stride > 1 || inputs != 4 * planes {
            shortcut = try ConvolutionNorm(
                source, (path + ".downsample.0", path + ".downsample.1"), (inputs, 4 * planes), KernelShape(1))
        }
    }

    func callAsFunction(_ map: FeatureMap) -> FeatureMap {
        func shrunk(_ map: FeatureMap) -> FeatureMap { shrink?(map) ?? map }
        var y = layers[0](map).map { $0.activated(.relu) }
        y = shrunk(layers[1](y).map { $0.activated(.relu) })
        y = layers[2](y)
        let short = shortcut?(shrunk(map)) ?? map
        return y.map { ($0 + short.rows).activated(.relu) }
    }

    mutating func use(_ use: BatchNormUse) {
        for index in layers.indices { layers[index].norm.use = use }
        shortcut?.norm.use = use
    }

    mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try layers.visit(body)
        try shortcut.visit(body)
    }
}

/// The mean of all pixels attends to itself and to them.
struct ResNetPool: Module {
    var positions: Parameter  // [1 + HW, D]
    var query: Linear
    var key: Linear
    var value: Linear
    var out: Linear
    let heads: Int
    private let layouts = PerShape<Layout>()

    /// Of B maps: their means before all their pixels, sorted into [mean, pixels] image by image.
    private struct Layout: Sendable {
        let maps, tokens: Segments
        let order, place: Indices
        let reading: Reading

        init(count: Int, pixels: Int) {
            maps = Segments(count: count, length: pixels)
            tokens = Segments(count: count, length: pixels + 1)
            order = Indices(
                (0..<count).flatMap { image in
                    [image] + (0..<pixels).map { count + image * pixels + $0 }
                })
            place = Indices((0..<count).flatMap { _ in 0...pixels })
            reading = Reading(tokens.firsts)
        }
    }

    init(_ source: some ParameterSource, _ shape: ResNetShape) throws {
        let (path, width) = ("visual.attnpool", shape.featureWidth)
        let start = Initial.normal(deviation: 1 / Double(width).squareRoot())
        heads = shape.heads
        positions = try source.parameter(path + ".positional_embedding", [shape.pixels + 1, width], start)
        func layer(_ name: String, _ outputs: Int) throws -> Linear {
            try Linear(source, "\(path).\(name)_proj", width, outputs, weight: start, bias: .fanIn(width))
        }
        query = try layer("q", width)
        key = try layer("k", width)
        value = try layer("v", width)
        out = try layer("c", shape.embedWidth)
    }

    func callAsFunction(_ map: FeatureMap) -> Tensor {
        let pixels = map.height * map.width
        let layout = layouts(map.count, pixels) { Layout(count: map.count, pixels: pixels) }
        let mean = segmentMean(map.rows, layout.maps)  // [B,D]
        let tokens = gatherRows(
            positions.value, layout.place, addend: gatherRows(concatenate([mean, map.rows]), layout.order))
        let width = tokens.columns
        let biases = [key.bias, value.bias].compactMap { $0?.value.reshaped([width, 1]) }
        let keyValue = linear(
            tokens, weight: concatenate([key.weight.value, value.weight.value]),
            bias: concatenate(biases).reshaped([2 * width]))
        return out(
            crossAttention(
                query: query(gatherRows(tokens, layout.reading.rows)), layout.reading.segments, keyValue: keyValue,
                layout.tokens, heads: heads))
    }

    mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try positions.visit(body)
        for part in [\Self.query, \.key, \.value, \.out] { try self[keyPath: part].visit(body) }
    }
}
