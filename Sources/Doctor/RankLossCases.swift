import Objectives
import Support
import TensorCore
import Weights

extension Doctor {
    /// The losses over three ranks, each of which computes the gradients of its own rows, beside one process's and
    /// open_clip's own three.
    func rankLossCases() throws -> [StageResult] {
        let file = try Safetensors(path("losses/three_ranks.safetensors"))
        let settings = try JSON(file: path("losses/three_ranks.json"))
        guard let ranks = settings["world"]?.integer, let rows = settings["per_rank"]?.integer,
            let logScale = settings["log_scale"]?.number, let bias = settings["bias"]?.number
        else { throw Failure(.badData, path("losses/three_ranks.json"), "has no world, per_rank, log_scale or bias") }
        let place = RankedBatch(
            images: try file.tensor("image_features", on: device), texts: try file.tensor("text_features", on: device),
            logScale: device.tensor([Float(logScale)], shape: []), bias: device.tensor([Float(bias)], shape: []),
            ranks: ranks, rows: rows)
        return try Objective.allCases.flatMap { objective in
            let found = place.loss(objective)
            let alone = "one_process.\(objective.rawValue)."
            var loss = Comparison("\(objective.rawValue) loss", Tolerance(absolute: 0, relative: 5e-6))
            loss.compare("loss", try file.floats(alone + "loss"), [Float(found.parts[0])])
            var own = Comparison("\(objective.rawValue) gradients", Tolerance(absolute: 0, relative: 1e-5))
            own.compare("log scale", try file.floats(alone + "grad_log_scale"), [Float(found.parts[1])])
            if objective == .sigmoid {
                own.compare("bias", try file.floats(alone + "grad_bias"), [Float(found.parts[2])])
            }
            // open_clip's ranks have gradients of their own mean: all of them together are `ranks` times one process's.
            let peer = objective == .softmax ? "softmax.local_loss=1.gather_with_grad=1." : "sigmoid.gather."
            var theirs = Comparison("\(objective.rawValue), open_clip's ranks", Tolerance(absolute: 0, relative: 1e-5))
            for (side, gradient) in [("image", found.images), ("text", found.texts)] {
                let key = "grad_\(side)_features"
                own.compare(key, try file.floats(alone + key), gradient)
                theirs.compare(peer + key, try file.floats(peer + key), gradient.map { $0 * Float(ranks) })
            }
            return [loss.result, own.result, theirs.result]
        }
    }
}

/// A batch whose rows several ranks own, in one process.
private struct RankedBatch {
    let images: Tensor  // [B,E], unit rows
    let texts: Tensor
    let logScale: Tensor
    let bias: Tensor
    let ranks: Int
    /// Of a rank.
    let rows: Int

    /// The gradients of all rows, rank by rank, and loss, d/d log scale and d/d bias.
    func loss(_ objective: Objective) -> (images: [Float], texts: [Float], parts: [Double]) {
        let sides = [(images, texts), (texts, images)]
        var gradients: [[Float]] = [[], []]
        var parts = [0.0, 0.0, 0.0]
        let sums = sides.map { mine, all in
            objective == .softmax ? concatenate((0..<ranks).map { logSums(mine, all, $0).sums }) : nil
        }
        for (side, (mine, all)) in sides.enumerated() {
            for rank in 0..<ranks {
                let softmax = sums[1 - side].map { others in
                    let own = logSums(mine, all, rank)
                    return (sums: own.sums, own: own.own, others: others)
                }
                let strip = contrastiveStrip(
                    mine: mine.slice(range(rank)), all: all, scalars: (logScale, softmax == nil ? bias : nil),
                    offset: rank * rows, slice: rows, softmax: softmax)
                gradients[side] += strip.gradient.floats
                // Each of softmax's sides has half of the sums; both of sigmoid's have them whole.
                let share = Double(ranks * rows * 2)
                for (index, part) in strip.parts.floats.enumerated() { parts[index % 3] += Double(part) / share }
            }
        }
        return (gradients[0], gradients[1], parts)
    }

    private func range(_ rank: Int) -> Range<Int> { rank * rows..<(rank + 1) * rows }

    private func logSums(_ mine: Tensor, _ all: Tensor, _ rank: Int) -> (sums: Tensor, own: Tensor) {
        contrastiveLogSums(
            mine: mine.slice(range(rank)), all: all, logScale: logScale, offset: rank * rows, slice: rows)
    }
}
