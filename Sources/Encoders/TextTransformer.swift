import Layers
import TensorCore

/// Token ids of several texts, each padded to the context length.
public struct TokenBatch: Sendable, Equatable {
    /// Row-major [B,T].
    public let ids: [Int32]
    public let contextLength: Int
    public var count: Int { ids.count / contextLength }

    public init(_ ids: [Int32], contextLength: Int) {
        precondition(contextLength > 0 && ids.count % contextLength == 0, "ids do not fill rows of \(contextLength)")
        self.ids = ids
        self.contextLength = contextLength
    }

    public subscript(row: Int) -> ArraySlice<Int32> { ids[row * contextLength..<(row + 1) * contextLength] }

    public func slice(_ rows: Range<Int>) -> TokenBatch {
        TokenBatch(
            Array(ids[rows.lowerBound * contextLength..<rows.upperBound * contextLength]), contextLength: contextLength)
    }
}

/// The text tower: causal and read at the end token (CLIP), or bidirectional and read at the last (SigLIP).
public struct TextTransformer: Module {
    public let shape: TextShape
    var embedding: Parameter  // [V,D]
    var positions: Parameter  // [T,D], with a class token [T+1,D]
    var classToken: Parameter?  // [D]
    public var transformer: Transformer
    public var norm: LayerNorm
    var projection: Parameter?  // [D,E], or [E,D] with a bias
    var projectionBias: Parameter?  // [E]

    init(_ source: some ParameterSource, _ shape: TextShape, prefix: String) throws {
        self.shape = shape
        let width = shape.blocks.width
        embedding = try source.parameter(
            prefix + "token_embedding.weight", [shape.vocabulary, width], .normal(deviation: 0.02))
        positions = try source.parameter(
            prefix + "positional_embedding", [shape.contextLength + (shape.classToken == nil ? 0 : 1), width],
            .normal(deviation: 0.01))
        if shape.classToken != nil {
            classToken = try source.parameter(prefix + "cls_emb", [width], .normal(deviation: 0.01))
        }
        transformer = try Transformer(source, prefix + "transformer.resblocks", shape.blocks, .openCLIPText)
        norm = try LayerNorm(source, prefix + "ln_final", width, epsilon: shape.blocks.epsilon)
        let start = Initial.normal(deviation: 1 / Double(width).squareRoot())
        switch shape.projection {
        case .none: break
        case .matrix: projection = try source.parameter(prefix + "text_projection", [width, shape.embedWidth], start)
        case .linear:
            projection = try source.parameter(prefix + "text_projection.weight", [shape.embedWidth, width], start)
            projectionBias = try source.parameter(prefix + "text_projection.bias", [shape.embedWidth], .zeros)
        }
    }

    /// - Parameters:
    ///   - tokens: [B,T], T at most the context length, ids below the vocabulary size
    ///   - isPacked: leave out the tokens after the one that is read. In a causal tower they change
    ///     nothing, so the result is the same for less work.
    ///   - trace: sees the tokens [N,D] after each block
    /// - Returns: [B,E], not normalised
    public func callAsFunction(_ tokens: TokenBatch, isPacked: Bool = true, trace: ((Int, Tensor) -> Void)? = nil)
        -> Tensor
    {
        precondition(
            tokens.contextLength <= shape.contextLength,
            "texts of \(tokens.contextLength) tokens, context \(shape.contextLength)")
        if let classToken { return project(norm(read(tokens, by: classToken.value))) }
        let device = embedding.value.device
        let ends = (0..<tokens.count).map { readPosition(tokens[$0]) }
        let lengths = ends.map { shape.isCausal && isPacked ? $0 + 1 : tokens.contextLength }
        let segments = Segments(lengths: lengths)
        let ids = zip(0..., lengths).flatMap { row, length in tokens[row].prefix(length) }
        let position = lengths.flatMap { (0..<Int32($0)) }
        var x = gatherRows(embedding.value, device.tensor(ids, shape: [ids.count]))
        x = gatherRows(positions.value, device.tensor(position, shape: [position.count]), addend: x)  // [N,D]
        let read = zip(segments.offsets, ends).map { Int32($0 + $1) }
        return project(norm(transformer(x, segments, causal: shape.isCausal, reading: read, trace: trace)))  // [B,D]
    }

    private func project(_ pooled: Tensor) -> Tensor {
        switch shape.projection {
        case .none: return pooled
        case .matrix: return matmul(pooled, projection!.value)
        case .linear: return linear(pooled, weight: projection!.value, bias: projectionBias?.value)
        }
    }

    /// A class token after each text reads it (CoCa). Tokens that the mask hides from all others are not computed.
    private func read(_ tokens: TokenBatch, by classToken: Tensor) -> Tensor {
        let (device, length, count) = (embedding.value.device, tokens.contextLength, tokens.count)
        var (ids, places, keys): ([Int32], [Int32], [[Int32]]) = ([], [], [])
        var lengths: [Int] = []
        for row in 0..<count {
            let text = Array(tokens[row])
            func isPadding(_ position: Int) -> Bool { text[position] == Int32(shape.padding) }
            let kept = (0..<length).filter {
                shape.classToken == .exact ? !isPadding($0) : $0 == 0 || !isPadding($0 - 1)
            }
            let seesItself = shape.classToken == .exact || !isPadding(length - 1)
            let first = Int32(ids.count)
            ids += kept.map { text[$0] }
            places += kept.map { Int32($0) }
            lengths.append(kept.count)
            keys.append(kept.indices.map { first + Int32($0) } + (seesItself ? [-1] : []))
        }
        let own = Int32(ids.count)  // the class tokens' rows follow the texts'
        for row in 0..<count { keys[row] = keys[row].map { $0 < 0 ? own + Int32(row) : $0 } }
        let words = gatherRows(embedding.value, device.tensor(ids, shape: [ids.count]))
        let classes = gatherRows(
            classToken.reshaped([1, classToken.count]),
            device.tensor([Int32](repeating: 0, count: count), shape: [count]))
        places += [Int32](repeating: Int32(length), count: count)
        let x = gatherRows(
            positions.value, device.tensor(places, shape: [places.count]), addend: concatenate([words, classes]))
        let y = transformer(x, ClassTokens(texts: Segments(lengths: lengths), keys: keys))
        return y.slice(ids.count..<ids.count + count)
    }

    private func readPosition(_ row: ArraySlice<Int32>) -> Int {
        switch shape.pooling {
        case .first: 0
        case .last: row.count - 1
        case .argmax: row.firstIndex(of: row.max()!)! - row.startIndex
        case .eos(let id): (row.firstIndex(of: Int32(id)) ?? row.startIndex) - row.startIndex
        }
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&positions)
        if classToken != nil { try body(&classToken!) }
        if projection != nil { try body(&projection!) }
        if projectionBias != nil { try body(&projectionBias!) }
        try body(&embedding)
        try transformer.visit(body)
        try norm.visit(body)
    }
}
