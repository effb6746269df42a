package import TensorCore

/// Sizes of a stack of transformer blocks.
package struct TransformerShape: Equatable, Sendable {
    package var width: Int
    package var layers: Int
    package var heads: Int
    package var mlpWidth: Int
    package var activation: Activation
    package var epsilon: Float

    package init(width: Int, layers: Int, heads: Int, mlpWidth: Int, activation: Activation, epsilon: Float) {
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
    package func keptValues(tokens: Int, isGated: Bool = false, recomputes: Bool) -> Int {
        let ofBlock = isGated ? 8 * width + 4 * mlpWidth : 7 * width + mlpWidth
        return tokens * (recomputes ? layers * width + ofBlock : layers * ofBlock)
    }
}

/// How a block's parameters are called and how they start.
package enum BlockStyle: Sendable {
    /// open_clip's image tower: PyTorch's defaults.
    case openCLIPImage
    /// open_clip's text tower: normal draws scaled by width and depth.
    case openCLIPText
    /// timm's names; big_vision's start: xavier-uniform kernels, MLP biases N(0, 1e-6).
    case timm
    /// timm's names and start with the gated MLP.
    case vitamin
}

extension BlockStyle {
    /// Below the block's path.
    struct Names {
        let norm1, qkv, bias, out, norm2, expand, contract: String
    }

    var names: Names {
        switch self {
        case .openCLIPImage, .openCLIPText:
            Names(
                norm1: "ln_1", qkv: "attn.in_proj_weight", bias: "attn.in_proj_bias", out: "attn.out_proj",
                norm2: "ln_2", expand: "mlp.c_fc", contract: "mlp.c_proj")
        case .timm, .vitamin:
            Names(
                norm1: "norm1", qkv: "attn.qkv.weight", bias: "attn.qkv.bias", out: "attn.proj", norm2: "norm2",
                expand: "mlp.fc1", contract: "mlp.fc2")
        }
    }

    /// How its matrices and the MLP's biases begin; all other biases are 0.
    struct Start {
        let qkv, out, expand, contract, expandBias, contractBias: Initial
    }

    func start(_ shape: TransformerShape) -> Start {
        let (width, hidden) = (shape.width, shape.mlpWidth)
        switch self {
        case .openCLIPImage:
            return Start(
                qkv: .xavier(width, 3 * width), out: .fanIn(width), expand: .fanIn(width), contract: .fanIn(hidden),
                expandBias: .fanIn(width), contractBias: .fanIn(hidden))
        case .openCLIPText:
            let attention = 1 / Double(width).squareRoot()
            let projection = attention / Double(2 * shape.layers).squareRoot()
            return Start(
                qkv: .normal(deviation: attention), out: .normal(deviation: projection),
                expand: .normal(deviation: 1 / Double(2 * width).squareRoot()),
                contract: .normal(deviation: projection), expandBias: .fanIn(width), contractBias: .fanIn(hidden))
        case .timm:
            let small = Initial.normal(deviation: 1e-6)
            return Start(
                qkv: .xavier(width, width), out: .xavier(width, width), expand: .xavier(width, hidden),
                contract: .xavier(hidden, width), expandBias: small, contractBias: small)
        case .vitamin:
            let small = Initial.normal(deviation: 0.02)
            return Start(
                qkv: small, out: small, expand: small, contract: small, expandBias: .zeros, contractBias: .zeros)
        }
    }
}

/// x + attention(norm(x)), then x + MLP(norm(x)): the pre-norm block of CLIP and SigLIP.
package struct TransformerBlock: Module {
    var norm1: LayerNorm
    var qkv: Parameter  // [3D, D]
    var qkvBias: Parameter  // [3D]
    var out: Linear
    var norm2: LayerNorm
    var mlp: MLP
    let heads: Int
    let activation: Activation

    package init(_ source: some ParameterSource, _ path: String, _ shape: TransformerShape, _ style: BlockStyle) throws
    {
        let (width, hidden) = (shape.width, shape.mlpWidth)
        heads = shape.heads
        activation = shape.activation
        let (names, start) = (style.names, style.start(shape))
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
                gate: try layer("mlp.w0", width, hidden, start.expand, start.expandBias),
                value: try layer("mlp.w1", width, hidden, start.expand, start.expandBias),
                contract: try layer("mlp.w2", hidden, width, start.contract, start.contractBias))
        } else {
            mlp = .plain(
                expand: try layer(names.expand, width, hidden, start.expand, start.expandBias),
                contract: try layer(names.contract, hidden, width, start.contract, start.contractBias))
        }
    }

    package func callAsFunction(_ x: Tensor, _ segments: Segments, causal: Bool) -> Tensor {
        let mixed = linear(norm1(x), weight: qkv.value, bias: qkvBias.value)  // [N,D] -> [N,3D]
        let attended = attention(qkv: mixed, segments, heads: heads, causal: causal)  // [N,3D] -> [N,D]
        let y = out(attended, residual: x)
        return mlp(norm2(y), activation, residual: y)  // [N,D] -> [N,4D] -> [N,D]
    }

    /// The same for some rows alone, which attend to the whole of their sequence: [N,D] -> [B,D].
    package func callAsFunction(_ x: Tensor, _ segments: Segments, _ reading: Reading) -> Tensor {
        let (width, normed) = (x.columns, norm1(x))
        func part(_ range: Range<Int>, of x: Tensor) -> Tensor {
            linear(x, weight: qkv.value.slice(range), bias: qkvBias.value.slice(range))
        }
        let attended = crossAttention(
            query: part(0..<width, of: gatherRows(normed, reading.rows)), reading.segments,
            keyValue: part(width..<3 * width, of: normed), segments, heads: heads)
        let y = out(attended, residual: gatherRows(x, reading.rows))
        return mlp(norm2(y), activation, residual: y)
    }

    /// The same with a class token per sequence, after all sequences' rows: it attends to the rows
    /// `keys` of `segments`, which may hold the token itself; the sequences attend causally, not to class tokens.
    package func callAsFunction(_ x: Tensor, _ classTokens: ClassTokens) -> Tensor {
        let mixed = linear(norm1(x), weight: qkv.value, bias: qkvBias.value)  // [N+B,3D]
        let texts = attention(
            qkv: mixed.slice(0..<classTokens.texts.total), classTokens.texts, heads: heads, causal: true)
        let seen = gatherRows(mixed, classTokens.keys)
        let own = attention(
            queriesOf: mixed.slice(classTokens.texts.total..<x.rows), classTokens.own, keysOf: seen,
            classTokens.segments, heads: heads)
        let y = out(concatenate([texts, own]), residual: x)
        return mlp(norm2(y), activation, residual: y)
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try norm1.visit(body)
        try qkv.visit(body)
        try qkvBias.visit(body)
        try out.visit(body)
        try norm2.visit(body)
        try mlp.visit(body)
    }
}

/// Sequences with a class token each, after the last of them (CoCa's text tower).
package struct ClassTokens: Sendable {
    /// The sequences; classTokens follow after their rows.
    package let texts: Segments
    /// Rows that the class tokens attend to, one token's after the other's.
    package let keys: Indices
    package let segments: Segments
    /// A class token each.
    package let own: Segments

    package init(texts: Segments, keys: [[Int32]]) {
        self.texts = texts
        self.keys = Indices(keys.flatMap { $0 })
        own = Segments(count: keys.count, length: 1)
        segments = Segments(lengths: keys.map(\.count))
    }
}

/// A stack of blocks over packed sequences.
package struct Transformer: Module {
    var blocks: [TransformerBlock]
    /// Recompute each block in the backward pass instead of keeping its values.
    package var recomputes = false

    package init(_ source: some ParameterSource, _ path: String, _ shape: TransformerShape, _ style: BlockStyle) throws
    {
        blocks = try (0..<shape.layers).map { try TransformerBlock(source, "\(path).\($0)", shape, style) }
    }

    /// - Parameter trace: sees the values after each block.
    package func callAsFunction(
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
    package func callAsFunction(
        _ x: Tensor, _ segments: Segments, causal: Bool = false, _ reading: Reading,
        trace: ((Int, Tensor) -> Void)? = nil
    ) -> Tensor {
        let rows = reading.rows.values
        precondition(
            rows.count == segments.count && rows.indices.allSatisfy { segments[$0].contains(Int(rows[$0])) },
            "one row of each sequence is read")
        let seesAll = !causal || (0..<rows.count).allSatisfy { Int(rows[$0]) == segments[$0].upperBound - 1 }
        guard trace == nil, seesAll, let last = blocks.last else {
            return gatherRows(self(x, segments, causal: causal, trace: trace), reading.rows)
        }
        let y = blocks.dropLast().reduce(x) { x, block in run(x) { block($0, segments, causal: causal) } }
        return run(y) { last($0, segments, reading) }
    }

    private func run(_ x: Tensor, _ block: @escaping (Tensor) -> Tensor) -> Tensor {
        recomputes ? recompute(x, block) : block(x)
    }

    /// [N+B,D] -> [N+B,D]
    package func callAsFunction(_ x: Tensor, _ classTokens: ClassTokens) -> Tensor {
        blocks.reduce(x) { x, block in run(x) { block($0, classTokens) } }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try blocks.visit(body)
    }
}
