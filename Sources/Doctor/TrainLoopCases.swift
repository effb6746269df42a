import Layers
import Learning
import Models
import Encoders
import Foundation
import Objectives
import Optimizers
import Support
import TensorCore
import Weights

extension Doctor {
    func trainLoopCases() throws -> [StageResult] {
        let blueprint = try Blueprint(
            try JSON(file: path("train_loop/config.json")), path: path("train_loop/config.json"))
        let inputs = try Safetensors(path("train_loop/inputs.safetensors"))
        let expected = try Safetensors(path("train_loop/expected.safetensors"))
        let images = try inputs.tensor("images", on: device)
        let tokens = try inputs.integers("tokens").map { Int32($0) }
        let length = try inputs.entry("tokens").shape[2]
        return try (JSON(file: path("train_loop/expected.json")).array ?? []).flatMap { settings -> [StageResult] in
            let loop = Loop(settings)
            let model = try ModelFolder.load(blueprint, weights: path("train_loop/model.safetensors"), on: device)
            var step = Step(.contrastive(model, .softmax), AdamW(.init()), StepSettings(clip: loop.clip))
            var losses: [Double] = []
            for first in loop.firsts {
                let range = first..<first + loop.frequency
                let size = loop.size * length
                let texts = TokenBatch(
                    padded: Array(tokens[range.lowerBound * size..<range.upperBound * size]), contextLength: length)
                let part = images.slice(range)
                let batch = PairBatch(
                    images: ImageBatch(part.reshaped([loop.frequency * loop.size] + part.shape.dropFirst(2))),
                    texts: texts)
                var (loss, gradients) = step.task.gradients(batch, chunk: loop.size)
                // open_clip sums the logit scale's gradient over the micro-batches, each the full loss's.
                for index in gradients.entries.indices where gradients.entries[index].name == "logit_scale" {
                    let gradient = gradients.entries[index].gradient
                    gradients.entries[index].gradient = gradient?.scaled(by: Float(loop.frequency))
                }
                losses += [Double](repeating: Double(loss.scalar), count: loop.frequency)
                _ = step.apply(gradients, loss: loss, rate: loop.rate(at: step.optimizer.step))
            }
            var lossStage = Comparison(
                "\(loop.name): losses", Tolerance(absolute: loop.clip == nil ? 2.5e-3 : 1e-4, relative: 0),
                cause: "order of clamp and step, or the schedule counting steps from 1")
            lossStage.compare(
                "losses", settings["loss_per_forward_with_grad"]?.array?.compactMap(\.number) ?? [], losses)
            var weightStage = Comparison("\(loop.name): weights", Self.stepTolerance(isClipped: loop.clip != nil))
            for parameter in step.task.model.parameters {
                weightStage.compare(
                    parameter.name, try expected.floats("\(loop.name).\(parameter.name)"), parameter.value.floats)
            }
            return [lossStage.result, weightStage.result]
        }
    }

    /// How open_clip's loop went.
    private struct Loop {
        let name: String
        let size: Int
        /// Micro-batches of a step.
        let frequency: Int
        let clip: Double?
        /// The first micro-batch of every step.
        let firsts: [Int]
        private let settings: JSON

        init(_ settings: JSON) {
            func integer(_ key: String, _ fallback: Int) -> Int { settings[key]?.integer ?? fallback }
            name = settings["case"]?.string ?? "?"
            (size, frequency) = (integer("batch_size", 0), integer("accum_freq", 1))
            clip = settings["grad_clip_norm"]?.number
            let epoch = Array(stride(from: 0, to: integer("batches", 0), by: integer("accum_freq", 1)))
            firsts = (0..<integer("epochs", 0)).flatMap { _ in epoch }
            self.settings = settings
        }

        func rate(at step: Int) -> Double {
            Schedule.cosine.rate(
                at: Double(step), base: settings["lr"]?.number ?? 0, warmup: settings["warmup"]?.integer ?? 0,
                total: settings["total_steps"]?.integer ?? 0)
        }
    }
}
