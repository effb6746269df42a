import Layers
import Support
package import TensorCore

/// Which image tower a configuration describes, and its sizes.
package enum ImageShape: Sendable, Equatable {
    case transformer(VisionShape)
    case resNet(ResNetShape)
    case vitamin(ViTaminShape)

    init(_ json: JSON, embedWidth: Int, quickGELU: Bool, path: String) throws {
        if json["timm_model_name"]?.string?.hasPrefix("vitamin_") == true {
            self = .vitamin(try ViTaminShape(json, embedWidth: embedWidth, path: path))
        } else if json["layers"]?.array != nil {
            self = .resNet(try ResNetShape(json, embedWidth: embedWidth, path: path))
        } else {
            self = .transformer(try VisionShape(json, embedWidth: embedWidth, quickGELU: quickGELU, path: path))
        }
    }

    /// Of the images the tower takes.
    package var height: Int {
        switch self {
        case .transformer(let shape): shape.height
        case .resNet(let shape): shape.side
        case .vitamin(let shape): shape.height
        }
    }

    package var width: Int {
        switch self {
        case .transformer(let shape): shape.width
        case .resNet(let shape): shape.side
        case .vitamin(let shape): shape.width
        }
    }

    /// About the float32 values per image that a training step keeps for the backward pass.
    package func keptValues(recomputes: Bool) -> Int {
        switch self {
        case .transformer(let shape):
            return shape.blocks.keptValues(tokens: shape.patches + 1, recomputes: recomputes)
        // Windows of 9 and a dozen maps a block.
        case .resNet(let shape):
            return shape.layers.enumerated().reduce(12 * shape.side * shape.side * shape.width) { sum, stage in
                sum + stage.element * 28 * (shape.side >> (stage.offset + 2)) * (shape.side >> (stage.offset + 2))
                    * (shape.width << stage.offset)
            }
        case .vitamin(let shape):
            return shape.blocks.keptValues(tokens: shape.tokens, isGated: true, recomputes: recomputes)
                + shape.stages.enumerated().reduce(0) { sum, stage in
                    sum + stage.element.depth * 22 * (shape.height >> (stage.offset + 2))
                        * (shape.width >> (stage.offset + 2)) * stage.element.channels
                }
        }
    }
}

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

    var batchNorms: BatchNormUse {
        get { if case .resNet(let tower) = self { tower.batchNorms } else { .running } }
        set {
            guard case .resNet(var tower) = self else { return }
            tower.batchNorms = newValue
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
