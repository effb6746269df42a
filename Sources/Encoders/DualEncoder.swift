import Layers
import Support
import TensorCore

/// An image tower and a text tower that meet in one space, with the logit scale and bias of their
/// objective. Parameters carry open_clip's names.
public struct DualEncoder: Module {
    public let blueprint: Blueprint
    public var image: ImageTower
    public var text: TextTransformer
    /// The logarithm of the logit scale, [] (or [1] in some files)
    public var logScale: Parameter
    public var logitBias: Parameter?

    public init(_ source: some ParameterSource, _ blueprint: Blueprint) throws {
        self.blueprint = blueprint
        let shape = blueprint.config["nonscalar_logit_scale"]?.bool == true ? [1] : []
        logScale = try source.parameter("logit_scale", shape, .constant(blueprint.initialLogScale))
        logitBias = try blueprint.initialLogitBias.map { try source.parameter("logit_bias", shape, .constant($0)) }
        image = try ImageTower(source, blueprint.vision)
        text = try TextTransformer(source, blueprint.text, prefix: blueprint.hasTextPrefix ? "text." : "")
    }

    public var device: any Device { logScale.value.device }

    /// Recompute every block in the backward pass (gradient checkpointing).
    public var isCheckpointed: Bool {
        get { text.transformer.isCheckpointed }
        set {
            image.isCheckpointed = newValue
            text.transformer.isCheckpointed = newValue
        }
    }

    /// Whether batch normalisation takes the batch's statistics and follows them.
    public var isTraining: Bool {
        get { image.isTraining }
        set { image.isTraining = newValue }
    }

    /// [B,3,H,W] -> [B,E], unit rows
    public func encode(images: Tensor) -> Tensor { normalizeRows(image(images)) }

    /// [B,T] -> [B,E], unit rows
    public func encode(texts: TokenBatch) -> Tensor { normalizeRows(text(texts)) }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&logScale)
        if logitBias != nil { try body(&logitBias!) }
        try image.visit(body)
        try text.visit(body)
    }
}
