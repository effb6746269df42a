import Foundation
package import Layers
import Support
package import TensorCore

/// An image tower and a text tower that meet in one space, with the logit scale and bias of their
/// objective. Parameters carry open_clip's names.
package struct DualEncoder: Module {
    package let blueprint: Blueprint
    package var image: ImageTower
    package var text: TextTower
    /// The logarithm of the logit scale, [] (or [1] in some files)
    package var logScale: Parameter
    package var logitBias: Parameter?

    package init(_ source: some ParameterSource, _ blueprint: Blueprint) throws {
        self.blueprint = blueprint
        let shape = blueprint.config["nonscalar_logit_scale"]?.bool == true ? [1] : []
        logScale = try source.parameter("logit_scale", shape, .constant(blueprint.initialLogScale))
        logitBias = try blueprint.initialLogitBias.map { try source.parameter("logit_bias", shape, .constant($0)) }
        image = try ImageTower(source, blueprint.vision)
        text = try TextTower(source, blueprint.text, prefix: blueprint.hasTextPrefix ? "text." : "")
    }

    package var device: any Device { logScale.value.device }

    /// Recompute every block in the backward pass (gradient checkpointing).
    package var recomputes: Bool {
        get { text.recomputes || image.recomputes }
        set {
            image.recomputes = newValue
            text.recomputes = newValue
        }
    }

    /// By which statistics batch normalisation normalises.
    package var batchNorms: BatchNormUse {
        get { image.batchNorms }
        set { image.batchNorms = newValue }
    }

    /// The weights of norms that follow the batches in training.
    package var followedNorms: [String] {
        state.filter { $0.role == .counter }.map {
            $0.name.replacingOccurrences(of: ".num_batches_tracked", with: ".weight")
        }
    }

    /// Towers that `recomputes` changes nothing in.
    package var towersWithoutRecomputation: [String] {
        var copy = self
        copy.recomputes = true
        return (copy.image.recomputes ? [] : ["image"]) + (copy.text.recomputes ? [] : ["text"])
    }

    /// The first parameter or buffer that is NaN or infinite.
    package var firstNonFinite: String? { state.first { $0.value.floats.firstNonFinite != nil }?.name }

    /// [B,3,H,W] -> [B,E], unit rows
    package func encode(images: Tensor) -> Tensor {
        normalizeRows(image(images).converted(to: .float32))
    }

    /// B texts -> [B,E], unit rows
    package func encode(texts: TokenBatch) -> Tensor {
        normalizeRows(text(texts).converted(to: .float32))
    }

    /// The mean of models of one configuration, parameter by parameter; counters are the first's.
    package static func average(_ models: [DualEncoder]) -> DualEncoder {
        var mean = models[0]
        let states = models.map { Dictionary(uniqueKeysWithValues: $0.state.map { ($0.name, $0.value) }) }
        mean.visit { parameter in
            guard parameter.role != .counter else { return }
            var sums = [Double](repeating: 0, count: parameter.value.count)
            for state in states {
                for (index, value) in (state[parameter.name]?.floats ?? []).enumerated() {
                    sums[index] += Double(value)
                }
            }
            parameter.value = parameter.value.device.tensor(
                sums.map { Float($0 / Double(models.count)) }, shape: parameter.value.shape)
        }
        return mean
    }

    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        try logScale.visit(body)
        try logitBias.visit(body)
        try image.visit(body)
        try text.visit(body)
    }
}
