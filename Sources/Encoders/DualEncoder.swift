import Foundation
import Layers
import Support
import TensorCore

/// An image tower and a text tower that meet in one space, with the logit scale and bias of their
/// objective. Parameters carry open_clip's names.
public struct DualEncoder: Module {
    public let blueprint: Blueprint
    public var image: ImageTower
    public var text: TextTower
    /// The logarithm of the logit scale, [] (or [1] in some files)
    public var logScale: Parameter
    public var logitBias: Parameter?

    public init(_ source: some ParameterSource, _ blueprint: Blueprint) throws {
        self.blueprint = blueprint
        let shape = blueprint.config["nonscalar_logit_scale"]?.bool == true ? [1] : []
        logScale = try source.parameter("logit_scale", shape, .constant(blueprint.initialLogScale))
        logitBias = try blueprint.initialLogitBias.map { try source.parameter("logit_bias", shape, .constant($0)) }
        image = try ImageTower(source, blueprint.vision)
        text = try TextTower(source, blueprint.text, prefix: blueprint.hasTextPrefix ? "text." : "")
    }

    public var device: any Device { logScale.value.device }

    /// Recompute every block in the backward pass (gradient checkpointing).
    public var isCheckpointed: Bool {
        get { text.isCheckpointed || image.isCheckpointed }
        set {
            image.isCheckpointed = newValue
            text.isCheckpointed = newValue
        }
    }

    /// Whether batch normalisation takes the batch's statistics and follows them.
    public var isTraining: Bool {
        get { image.isTraining }
        set { image.isTraining = newValue }
    }

    /// The weights of norms that follow the batches in training.
    public var followedNorms: [String] {
        state.filter { $0.role == .counter }.map {
            $0.name.replacingOccurrences(of: ".num_batches_tracked", with: ".weight")
        }
    }

    /// Towers that `isCheckpointed` changes nothing in.
    public var towersWithoutRecomputation: [String] {
        var copy = self
        copy.isCheckpointed = true
        return (copy.image.isCheckpointed ? [] : ["image"]) + (copy.text.isCheckpointed ? [] : ["text"])
    }

    /// The first parameter or buffer that is NaN or infinite.
    public var firstNonFinite: String? { state.first { $0.value.floats.firstNonFinite != nil }?.name }

    /// [B,3,H,W] -> [B,E], unit rows
    public func encode(images: Tensor) -> Tensor { normalizeRows(image(images)) }

    /// [B,T] -> [B,E], unit rows
    public func encode(texts: TokenBatch) -> Tensor { normalizeRows(text(texts)) }

    /// The mean of models of one configuration, parameter by parameter; counters are the first's.
    public static func average(_ models: [DualEncoder]) -> DualEncoder {
        var mean = models[0]
        let states = models.map { Dictionary(uniqueKeysWithValues: $0.state.map { ($0.name, $0.value) }) }
        mean.visit { parameter in
            guard parameter.role != .counter else { return }
            var sums = [Double](repeating: 0, count: parameter.value.count)
            for state in states {
                for (index, value) in state[parameter.name]!.floats.enumerated() { sums[index] += Double(value) }
            }
            parameter.value = parameter.value.device.tensor(
                sums.map { Float($0 / Double(models.count)) }, shape: parameter.value.shape)
        }
        return mean
    }

    public mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try body(&logScale)
        if logitBias != nil { try body(&logitBias!) }
        try image.visit(body)
        try text.visit(body)
    }
}
