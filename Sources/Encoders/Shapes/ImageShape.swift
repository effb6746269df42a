import Layers
import Support
import TensorCore

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
