import Encoders
import Foundation
import Objectives
import Optimizers
import Support
import TensorCore
import Training
import Weights

extension Doctor {
    func trainLoopCases() throws -> [StageResult] {
        let blueprint = try Blueprint(
            try JSON(file: path("train_loop/config.json")), path: path("train_loop/config.json"))
        let inputs = try Safetensors(path("train_loop/inputs.safetensors"))
        let expected = try Safetensors(path("train_loop/expected.safetensors"))
        let images = try inputs.tensor("images", on: device)
        let tokens = try inputs.integers("tokens").map { Int32($0) }
        let tokenShape = try inputs.entry("tokens").shape
        return try (JSON(file: path("train_loop/expected.json")).array ?? []).flatMap { settings -> [StageResult] in
            let name = settings["case"]?.string ?? "?"
            let model = try ModelFolder.load(blueprint, weights: path("train_loop/model.safetensors"), on: device)
            let (epochs, batches) = (settings["epochs"]?.integer ?? 0, settings["batches"]?.integer ?? 0)
            let (frequency, total) = (settings["accum_freq"]?.integer ?? 1, settings["total_steps"]?.integer ?? 0)
            let size = settings["batch_size"]?.integer ?? 0
            let limit = settings["grad_clip_norm"]?.number
            var optimizer = AdamW(.init())
            var losses: [Double] = []
            for _ in 0..<epochs {
                for first in stride(from: 0, to: batches, by: frequency) {
                    let range = first..<first + frequency
                    let batchTokens = TokenBatch(
                        Array(
                            tokens[
                                (range.lowerBound * size * tokenShape[2])..<(range.upperBound * size * tokenShape[2])]),
                        contextLength: tokenShape[2])
                    let batch = images.slice(range)
                    let (loss, exact) = Objective.softmax.gradients(
                        of: model, images: batch.reshaped([frequency * size] + batch.shape.dropFirst(2)),
                        texts: batchTokens,
                        chunk: size)
                    // open_clip sums the logit scale's gradient over the micro-batches, each the full loss's.
                    let gradients = Gradients(
                        names: exact.names,
                        tensors: zip(exact.names, exact.tensors).map {
                            $0 == "logit_scale" ? $1?.scaled(by: Float(frequency)) : $1
                        })
                    losses += [Double](repeating: Double(loss), count: frequency)
                    let rate = Schedule.cosine.rate(
                        at: Double(optimizer.step), base: settings["lr"]?.number ?? 0,
                        warmup: settings["warmup"]?.integer ?? 0,
                        total: total)
                    optimizer.update(
                        model.optimized, gradients, factor: Gradients.clipFactor(norm: gradients.norm, limit: limit),
                        rate: rate)
                    model.clampLogitScale()
                }
            }
            var lossStage = Comparison(
                "\(name): losses", Tolerance(absolute: limit == nil ? 2.5e-3 : 1e-4, relative: 0),
                cause: "order of clamp and step, or the schedule counting steps from 1")
            lossStage.compare(
                "losses", settings["loss_per_forward_with_grad"]?.array?.compactMap(\.number) ?? [], losses)
            var weightStage = Comparison("\(name): weights", Self.stepTolerance(isClipped: limit != nil))
            for parameter in model.parameters {
                weightStage.compare(
                    parameter.name, try expected.floats("\(name).\(parameter.name)"), parameter.value.floats)
            }
            return [lossStage.result, weightStage.result]
        }
    }
}
