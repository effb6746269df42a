import Layers
package import TensorCore

/// The image tower of a model, whichever it is.
package enum ImageTower: Module {
    case transformer(VisionTransformer)
    case resNet(ModifiedResNet)
    case vitamin(ViTamin)

    init(_ source: some ParameterSource, _ shape: ImageShape) throws {
        switch shape {
        case .transformer(let shape): self = .transformer(try VisionTransformer(source, shape))
        case .resNet(let shape): self = .resNet(try ModifiedResNet(source, shape))
        case .vitamin(let shape): self = .vitamin(try ViTamin(source, shape))
        }
    }

    /// - Parameters:
    ///   - images: [B,3,H,W], normalised as the model's preprocessing says
    ///   - trace: sees the rows of values after each block or stage
    /// - Returns: [B,E], not normalised
    package func callAsFunction(_ images: Tensor, trace: ((Int, Tensor) -> Void)? = nil) -> Tensor {
        switch self {
        case .transformer(let tower): tower(images, trace: trace)
        case .resNet(let tower): tower(images, trace: trace)
        case .vitamin(let tower): tower(images, trace: trace)
        }
    }

    /// Recompute every transformer block in the backward pass. A ResNet has none.
    var recomputes: Bool {
        get {
            switch self {
            case .transformer(let tower): tower.transformer.recomputes
            case .vitamin(let tower): tower.recomputes
            case .resNet: false
            }
        }
        set {
            switch self {
            case .transformer(var tower):
                tower.transformer.recomputes = newValue
                self = .transformer(tower)
            case .vitamin(var tower):
                tower.recomputes = newValue
                self = .vitamin(tower)
            case .resNet: break
            }
        }
    }

    /// Whether batch normalisation takes the batch's statistics and follows them.
    var isTraining: Bool {
        get { if case .resNet(let tower) = self { tower.isTraining } else { false } }
        set {
            guard case .resNet(var tower) = self else { return }
            tower.isTraining = newValue
            self = .resNet(tower)
        }
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        switch self {
        case .transformer(var tower):
            try tower.visit(body)
            self = .transformer(tower)
        case .resNet(var tower):
            try tower.visit(body)
            self = .resNet(tower)
        case .vitamin(var tower):
            try tower.visit(body)
            self = .vitamin(tower)
        }
    }
}
