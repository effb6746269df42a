import TensorCore

/// Sizes of a stack of transformer blocks.
public struct TransformerShape: Equatable, Sendable {
    public var width: Int
    public var layers: Int
    public var heads: Int
    public var mlpWidth: Int
    public var activation: Activation
    public var epsilon: Float

    public init(width: Int, layers: Int, heads: Int, mlpWidth: Int, activation: Activation, epsilon: Float) {
        self.width = width
        self.layers = layers
        self.heads = heads
        self.mlpWidth = mlpWidth
        self.activation = activation
        self.epsilon = epsilon
    }
}

extension TransformerShape {
    /// About how many floats the backward pass keeps of `tokens` tokens: each block's input, queries, keys and values, what
    /// attention gives, the sum after it and the MLP's pre-activation (of a gated MLP both branches, their product and its
    /// input), and a width of working memory.
    public func keptValues(tokens: Int, isGated: Bool = false, isCheckpointed: Bool) -> Int {
        let ofBlock = isGated ? 8 * width + 4 * mlpWidth : 7 * width + mlpWidth
        return tokens * (isCheckpointed ? layers * width + ofBlock : layers * ofBlock)
    }
}

/// How a block's parameters are called and how they start.
public enum BlockStyle: Sendable {
    /// open_clip's image tower: PyTorch's defaults.
    case openCLIPImage
    /// open_clip's text tower: normal draws scaled by width and depth.
    case openCLIPText
    /// timm's names; big_vision's start: xavier-uniform kernels, MLP biases N(0, 1e-6).
    case timm
    /// timm's names and start with the gated MLP.
    case vitamin
}

/// x + attention(norm(x)), then x + MLP(norm(x)): the pre-norm block of CLIP and SigLIP.
public struct TransformerBlock: Module {
    var norm1: LayerNorm
    var qkv: Parameter  // [3D, D]
    var qkvBias: Parameter  // [3D]
    var out: Linear
    var norm2: LayerNorm
    var mlp: MLP
    let heads: Int
    let activation: Activation

    public init(_ source: some ParameterSource, _ path: String, _ shape: TransformerShape, _ style: BlockStyle) throws {
        let (width, hidden) = (shape.width, shape.mlpWidth)
        heads = shape.heads
        activation = shape.activation
        let start: (qkv: Initial, out: Initial, expand: Initial, contract: Initial)
        let biases: (expand: Initial, contract: Initial)
        switch style {
        case .openCLIPImage:
            start = (.xavier(width, 3 * width), .fanIn(width), .fanIn(width), .fanIn(hidden))
            biases = (.fanIn(width), .fanIn(hidden))
        case .openCLIPText:
            let attention = 1 / Double(width).squareRoot()
            let projection = attention / Double(2 * shape.layers).squareRoot()
            start = (
                .normal(deviation: attention), .normal(deviation: projection),
                .normal(deviation: 1 / Double(2 * width).squareRoot()), .normal(deviation: projection)
            )
            biases = (.fanIn(width), .fanIn(hidden))
        case .timm:
            start = (.xavier(width, width), .xavier(width, width), .xavier(width, hidden), .xavier(hidden, width))
            biases = (.normal(deviation: 1e-6), .normal(deviation: 1e-6))
        case .vitamin:
            let small = Initial.normal(deviation: 0.02)
            start = (small, small, small, small)
            biases = (.zeros, .zeros)
        }
        let names:
            (norm1: String, qkv: String, bias: String, out: String, norm2: String, expand: String, contract: String)
        switch style {
        case .openCLIPImage, .openCLIPText:
            names = (
                "ln_1", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"
            )
        case .timm, .vitamin:
            names = ("norm1", "attn.qkv.weight", "attn.qkv.bias", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
        }
        norm1 = try LayerNorm(source, "\(path).\(names.norm1)", width, epsilon: shape.epsilon)
        qkv = try source.parameter("\(path).\(names.qkv)", [3 * width, width], start.qkv)
        qkvBias = try source.parameter("\(path).\(names.bias)", [3 * width], .zeros)
        out = try Linear(source, "\(path).\(names.out)", width, width, weight: start.out, bias: .zeros)
        norm2 = try LayerNorm(source, "\(path).\(names.norm2)", width, epsilon: shape.epsilon)
        func layer(_ name: String, _ inputs: Int, _ outputs: Int, _ start: Initial, _ bias: Initial) throws -> Linear {
            try Linear(source, "\(path).\(name)", inputs, outputs, weight: start, bias: bias)
        }
        if style == .vitamin {
            mlp = .gated(
                norm: try LayerNorm(source, path + ".mlp.norm", width, epsilon: shape.epsilon),
                gate: try layer("mlp.w0", width, hidden, start.expand, biases.expand),
                value: try layer("mlp.w1", width, hidden, start.expand, biases.expand),
                contract: try layer("mlp.w2", hidden, width, start.contract, biases.contract))
        } else {
            mlp = .plain(
                expand: try layer(names.expand, width, hidden, start.expand, biases.expand),
                contract: try layer(names.contract, hidden, width, start.contract, biases.contract))
        }
    }

    public func callAsFunction(_ x: Tensor, _ segments: Segments, causal: Bool) -> Tensor {
        let mixed = linear(norm1(x), weight: qkv.value, bias: qkvBias.value)  // [N,D] -> [N,3D]
        let attended = attention(qkv: mixed, segments, heads: heads, causal: causal)  // [N,3D] -> [N,D]
        let y = out(attended, residual: x)
        return mlp(norm2(y), activation, residual: y)  // [N,D] -> [N,4D] -> [N,D]
    }

    /// The same for some rows alone, one of each sequence, which attend to the whole of theirs: [N,D] -> [B,D].
    public func callAsFunction(_ x: Tensor, _ segments: Segments, reading rows: Tensor) -> Tensor {
        let (width, normed) = (x.columns, norm1(x))
        func part(_ range: Range<Int>, of x: Tensor) -> Tensor {
            linear(x, weight: qkv.value.slice(range), bias: qkvBias.value.slice(range))
        }
        let attended = crossAttention(
            query: part(0..<width, of: gatherRows(normed, rows)), Segments(count: segments.count, length: 1),
            keyValue: part(width..<3 * width, of: normed), segments, heads: heads)
        let y = out(attended, residual: gatherRows(x, rows))
        return mlp(norm2(y), activation, residual: y)
    }

    /// The same with a class token per sequence, after all sequences' rows: it attends to the rows
    /// `keys` of `segments`, which may hold the token itself; the sequences attend causally, not to class tokens.
    public func callAsFunction(_ x: Tensor, _ classTokens: ClassTokens) -> Tensor {
        let mixed = linear(norm1(x), weight: qkv.value, bias: qkvBias.value)  // [N+B,3D]
        let device = x.device
        let texts = attention(
            qkv: mixed.slice(0..<classTokens.texts.total), classTokens.texts, heads: heads, causal: true)
        let seen = gatherRows(mixed, device.tensor(classTokens.keys, shape: [classTokens.keys.count]))
        let count = classTokens.texts.count
        let own = attention(
            queriesOf: mixed.slice(classTokens.texts.total..<x.rows), Segments(count: count, length: 1), keysOf: seen,
            classTokens.segments, heads: heads)
        let y = out(concatenate([texts, own]), residual: x)
        return mlp(norm2(y), activation, residual: y)
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try norm1.visit(body)
        try body(&qkv)
        try body(&qkvBias)
        try out.visit(body)
        try norm2.visit(body)
        try mlp.visit(body)
    }
}

/// Sequences with a class token each, after the last of them (CoCa's text tower).
public struct ClassTokens: Sendable {
    /// The sequences; classTokens follow after their rows.
    public let texts: Segments
    /// Rows that the class tokens attend to, one token's after the other's.
    public let keys: [Int32]
    public let segments: Segments

    public init(texts: Segments, keys: [[Int32]]) {
        self.texts = texts
        self.keys = keys.flatMap { $0 }
        segments = Segments(lengths: keys.map(\.count))
    }
}

/// A stack of blocks over packed sequences.
public struct Transformer: Module {
    var blocks: [TransformerBlock]
    /// Recompute each block in the backward pass instead of keeping its values.
    public var isCheckpointed = false

    public init(_ source: some ParameterSource, _ path: String, _ shape: TransformerShape, _ style: BlockStyle) throws {
        blocks = try (0..<shape.layers).map { try TransformerBlock(source, "\(path).\($0)", shape, style) }
    }

    /// - Parameter trace: sees the values after each block.
    public func callAsFunction(
        _ x: Tensor, _ segments: Segments, causal: Bool = false, trace: ((Int, Tensor) -> Void)? = nil
    ) -> Tensor {
        var x = x
        for (index, block) in blocks.enumerated() {
            x = run(x) { block($0, segments, causal: causal) }
            trace?(index, x)
        }
        return x
    }

    /// What is read of each sequence, [N,D] -> [B,D]. The last block is computed for these rows alone: a class token or an
    /// end token needs the others' keys and values there and nothing more.
    ///
    /// - Parameter rows: one of each sequence
    public func callAsFunction(
        _ x: Tensor, _ segments: Segments, causal: Bool = false, reading rows: [Int32],
        trace: ((Int, Tensor) -> Void)? = nil
    ) -> Tensor {
        precondition(
            rows.count == segments.count && rows.indices.allSatisfy { segments[$0].contains(Int(rows[$0])) },
            "one row of each sequence is read")
        let read = x.device.tensor(rows, shape: [rows.count])
        let seesAll = !causal || (0..<rows.count).allSatisfy { Int(rows[$0]) == segments[$0].upperBound - 1 }
        guard trace == nil, seesAll, let last = blocks.last else {
            return gatherRows(self(x, segments, causal: causal, trace: trace), read)
        }
        let y = blocks.dropLast().reduce(x) { x, block in run(x) { block($0, segments, causal: causal) } }
        return run(y) { last($0, segments, reading: read) }
    }

    private func run(_ x: Tensor, _ block: @escaping (Tensor) -> Tensor) -> Tensor {
        isCheckpointed ? recompute(x, block) : block(x)
    }

    public func callAsFunction(_ x: Tensor, _ classTokens: ClassTokens) -> Tensor {
        blocks.reduce(x) { x, block in run(x) { block($0, classTokens) } }
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        for index in blocks.indices { try blocks[index].visit(body) }
    }
}
