import Foundation
import Layers
package import Support
import TensorCore

/// The sizes of a dual encoder, read from open_clip's JSON model configuration as it is.
package struct Blueprint: Sendable, Equatable {
    /// `model_cfg`, verbatim: what is written back beside the weights.
    package let config: JSON
    /// E, the width of the space both towers meet in.
    package let embedWidth: Int
    package let vision: ImageShape
    package let text: TextShape
    /// `custom_text`: the text tower's parameters stand under `text.`.
    package let hasTextPrefix: Bool
    /// CoCa: `multimodal_cfg`. The decoder is not built; its tensors are left unread.
    package let hasCaptionDecoder: Bool
    /// The logarithm of the logit scale at the start.
    package let initialLogScale: Float
    package let initialLogitBias: Float?

    /// - Parameter path: the file, for messages.
    /// - Throws: `Failure(.badData)` naming the key that is missing, wrong or not supported.
    package init(_ config: JSON, path: String) throws {
        let top = try Section(
            config, path: path, name: "model_cfg",
            known: [
                "embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale",
                "init_logit_bias", "nonscalar_logit_scale", "multimodal_cfg",
            ])
        self.config = config
        embedWidth = try top.size("embed_dim")
        let quick = try top.bool("quick_gelu", default: false)
        vision = try ImageShape(
            config["vision_cfg"] ?? .null, embedWidth: embedWidth, quickGELU: quick, path: path)
        text = try TextShape(config["text_cfg"] ?? .null, embedWidth: embedWidth, quickGELU: quick, path: path)
        hasCaptionDecoder = config["multimodal_cfg"]?.object != nil
        hasTextPrefix =
            try top.bool("custom_text", default: false) || hasCaptionDecoder || text.sentence != nil
        initialLogScale = Float(try top.number("init_logit_scale", default: 2.6592600369327783, in: -100...100))
        initialLogitBias = try top.optionalNumber("init_logit_bias", in: -1e6...1e6).map { Float($0) }
        guard parameterEstimate <= Self.mostParameters else {
            throw top.wrong(
                "embed_dim",
                String(format: "these sizes make about %.3g parameters, the most is 1e11", parameterEstimate))
        }
        if case .transformer(let shape) = vision, shape.patches > 1 << 16 {
            throw top.wrong("vision_cfg", "\(shape.patches) patches an image, the most is \(1 << 16)")
        }
        let needed = parameterEstimate * 4
        guard needed < Double(ProcessInfo.processInfo.physicalMemory) else {
            throw Failure(
                .machine, path,
                String(
                    format: "the model has about %.3g parameters, whose weights alone do not fit in memory",
                    parameterEstimate))
        }
    }

    private static let mostParameters = 1e11

    /// About the number of parameters, from the sizes alone: what is checked before memory is asked for.
    private var parameterEstimate: Double {
        func blocks(_ shape: TransformerShape) -> Double {
            let (width, hidden) = (Double(shape.width), Double(shape.mlpWidth))
            return Double(shape.layers) * (4 * width * width + 2 * width * hidden)
        }
        let image: Double =
            switch vision {
            case .transformer(let shape):
                blocks(shape.blocks) + Double(shape.blocks.width)
                    * Double(shape.patches + 3 * shape.patch * shape.patch)
            case .resNet(let shape):
                Double(shape.layers.reduce(0, +)) * 70 * Double(shape.width) * Double(shape.width)
                    + 32 * Double(shape.width) * Double(shape.pixels)
            case .vitamin(let shape):
                blocks(shape.blocks) * 1.5
                    + shape.stages.reduce(0) { $0 + Double($1.depth * $1.channels * $1.channels * 8) }
                    + Double(shape.tokens * shape.blocks.width)
            }
        let words = Double(text.blocks.width) * Double(text.vocabulary + text.contextLength + embedWidth)
        return image + blocks(text.blocks) + words
    }
}
