import Layers
package import TensorCore

/// The text tower of a model, whichever it is.
package enum TextTower: Module {
    case transformer(TextTransformer)
    case sentence(SentenceTower)

    init(_ source: some ParameterSource, _ shape: TextShape, prefix: String) throws {
        if let sentence = shape.sentence {
            self = .sentence(try SentenceTower(source, sentence, embedWidth: shape.embedWidth, prefix: prefix))
        } else {
            self = .transformer(try TextTransformer(source, shape, prefix: prefix))
        }
    }

    /// - Parameters:
    ///   - tokens: B texts
    ///   - isPacked: see `TextTransformer`; a sentence encoder never computes padding
    ///   - trace: sees the tokens after each block
    /// - Returns: [B,E], not normalised
    package func callAsFunction(_ tokens: TokenBatch, isPacked: Bool = true, trace: ((Int, Tensor) -> Void)? = nil)
        -> Tensor
    {
        switch self {
        case .transformer(let tower): tower(tokens, isPacked: isPacked, trace: trace)
        case .sentence(let tower): tower(tokens, trace: trace)
        }
    }

    /// Recompute every block in the backward pass. A sentence encoder keeps its values.
    var recomputes: Bool {
        get { if case .transformer(let tower) = self { tower.transformer.recomputes } else { false } }
        set {
            guard case .transformer(var tower) = self else { return }
            tower.transformer.recomputes = newValue
            self = .transformer(tower)
        }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        switch self {
        case .transformer(var tower):
            try tower.visit(body)
            self = .transformer(tower)
        case .sentence(var tower):
            try tower.visit(body)
            self = .sentence(tower)
        }
    }
}
