package import Layers
package import TensorCore

/// The text tower: causal and read at the end token (CLIP), or bidirectional and read at the last (SigLIP).
package struct TextTransformer: Module {
    package let shape: TextShape
    var embedding: Parameter  // [V,D]
    var positions: Parameter  // [T,D], with a class token [T+1,D]
    var classToken: Parameter?  // [D]
    package var transformer: Transformer
    package var norm: LayerNorm
    var projection: Projection

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
        case .none: projection = .none
        case .matrix:
            projection = .matrix(
                try source.parameter(prefix + "text_projection", [width, shape.embedWidth], start))
        case .linear:
            projection = .linear(
                try source.parameter(prefix + "text_projection.weight", [shape.embedWidth, width], start),
                bias: try source.parameter(prefix + "text_projection.bias", [shape.embedWidth], .zeros))
        }
    }

    /// - Parameters:
    ///   - tokens: B texts, of ids below the vocabulary size
    ///   - isPacked: leave out the tokens after the one that is read. In a causal tower they change
    ///     nothing, so the result is the same for less work.
    ///   - trace: sees the tokens [N,D] after each block
    /// - Returns: [B,E], not normalised
    package func callAsFunction(_ tokens: TokenBatch, isPacked: Bool = true, trace: ((Int, Tensor) -> Void)? = nil)
        -> Tensor
    {
        precondition(
            tokens.contextLength <= shape.contextLength,
            "texts of \(tokens.contextLength) tokens, context \(shape.contextLength)")
        if let classToken { return projection(norm(read(tokens, by: classToken.value))) }
        let ends = (0..<tokens.count).map { readPosition(tokens, $0) }
        let lengths = ends.map { shape.isCausal && isPacked ? $0 + 1 : tokens.contextLength }
        let segments = Segments(lengths: lengths)
        let ids = zip(0..., lengths).flatMap { text, length -> ArraySlice<Int32> in
            let own = tokens[text]
            return own.count >= length ? own.prefix(length) : tokens.padded(text).prefix(length)
        }
        let position = lengths.flatMap { (0..<Int32($0)) }
        var x = gatherRows(embedding.value, Indices(ids))
        x = gatherRows(positions.value, Indices(position), addend: x)  // [N,D]
        let read = Reading(zip(segments.firsts, ends).map { $0 + Int32($1) })
        return projection(norm(transformer(x, segments, causal: shape.isCausal, read, trace: trace)))  // [B,D]
    }

    /// A class token after each text reads it (CoCa). Tokens that the mask hides from all others are not computed.
    private func read(_ tokens: TokenBatch, by classToken: Tensor) -> Tensor {
        let (length, count) = (tokens.contextLength, tokens.count)
        var (ids, places, keys): ([Int32], [Int32], [[Int32]]) = ([], [], [])
        var lengths: [Int] = []
        for row in 0..<count {
            let text = tokens.padded(row)
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
        let words = gatherRows(embedding.value, Indices(ids))
        let classes = gatherRows(classToken.reshaped([1, classToken.count]), Reading.same(count).rows)
        places += [Int32](repeating: Int32(length), count: count)
        let x = gatherRows(
            positions.value, Indices(places), addend: concatenate([words, classes]))
        let y = transformer(x, ClassTokens(texts: Segments(lengths: lengths), keys: keys))
        return y.slice(ids.count..<ids.count + count)
    }

    /// The token that is read; with padding it stands where it would among the padded ids.
    private func readPosition(_ tokens: TokenBatch, _ text: Int) -> Int {
        let own = tokens[text]
        let first = own.startIndex
        let hasPadding = own.count < tokens.contextLength
        switch shape.pooling {
        case .first: return 0
        case .last: return tokens.contextLength - 1
        case .argmax:
            let largest = own.max() ?? tokens.padding
            if hasPadding, tokens.padding > largest { return own.count }
            return (own.firstIndex(of: largest) ?? first) - first
        case .eos(let id):
            if let place = own.firstIndex(of: Int32(id)) { return place - first }
            return hasPadding && tokens.padding == Int32(id) ? own.count : 0
        }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try positions.visit(body)
        try classToken.visit(body)
        try projection.visit(body)
        try embedding.visit(body)
        try transformer.visit(body)
        try norm.visit(body)
    }
}
