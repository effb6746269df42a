import Foundation
import Support

/// What a training step over several processes costs, added up from rates (docs/distributed.md).
struct StepCost {
    struct Links {
        /// Processes of a machine.
        let nodeRanks: Int
        /// Bytes/s that a process sends to others of its machine.
        let inside: Double
        /// Bytes/s that a machine sends to others.
        let between: Double
        /// Seconds that a message takes by itself.
        let delay: Double

        /// Seconds that `bytes` take which every rank sends in equal parts to all others.
        func seconds(_ bytes: Double, ranks: Int) -> Double {
            guard ranks > 1 else { return 0 }
            let here = min(ranks, nodeRanks)
            let near = bytes * Double(here - 1) / Double(ranks - 1)
            return near / inside + (bytes - near) * Double(here) / between
        }
    }

    struct Step {
        let ranks: Int
        let pairs: Double
        /// Seconds; `waited` is what of features and gradients nothing hides.
        let towers, loss, features, gradients, waited, optimizer: Double

        var seconds: Double { towers + loss + waited + optimizer }
        var efficiency: Double { (towers + loss) / seconds }

        var line: String {
            String(
                format: "  %5d  %10.0f  %8.4f  %8.4f  %10.4f  %11.4f  %8.4f  %8.4f  %8.4f  %7.1f  %10.3f", ranks, pairs,
                towers, loss, features, gradients, waited, optimizer, seconds, pairs * Double(ranks) / seconds,
                efficiency)
        }

        var json: JSON {
            [
                "ranks": .integer(ranks), "pairs_each": .number(pairs), "towers_seconds": .number(towers),
                "loss_seconds": .number(loss), "features_seconds": .number(features),
                "gradients_seconds": .number(gradients), "waited_seconds": .number(waited),
                "optimizer_seconds": .number(optimizer), "step_seconds": .number(seconds),
                "pairs_per_second": .number(pairs * Double(ranks) / seconds), "efficiency": .number(efficiency),
            ]
        }
    }

    /// Read and written for a parameter by AdamW: value, gradient, two moments; value and moments again.
    static let optimizerBytes = 28.0
    private static let bucketBytes = 25e6
    /// What of a backward pass is left when the first bucket is full, about.
    private static let overlap = 0.9

    /// Forward and backward, recomputation among them.
    let flopsPerPair: Double
    let parameters: Double
    /// E
    let width: Double
    /// B
    let batch: Double
    /// Products of [B/W,E] and [E,B] in the loss and its gradients.
    let lossProducts: Double
    /// Of a rank.
    let slices: Double
    /// FLOP/s of a rank.
    let rate: Double
    /// Bytes/s of a rank.
    let memory: Double
    let links: Links

    func step(_ ranks: Int) -> Step {
        let (count, pairs) = (Double(ranks), batch / Double(ranks))
        let towers = flopsPerPair * pairs / rate
        let loss = 2 * lossProducts * pairs * batch * width / rate
        let oneSide = links.seconds(4 * pairs * width * (count - 1), ranks: ranks)
        let half = links.seconds(4 * parameters * (count - 1) / count, ranks: ranks)
        let messages = ranks == 1 ? 0 : (4 * parameters / Self.bucketBytes).rounded(.up) * links.delay * log2(count)
        // Texts travel while the image tower runs; gradients while the last slice goes back; images and weights bare.
        let backward = Self.overlap * towers * 2 / 3 / slices
        let waited =
            max(0, oneSide - towers / 6) + oneSide + max(0, half + messages - backward) + half + messages
        return Step(
            ranks: ranks, pairs: pairs, towers: towers, loss: loss, features: 2 * oneSide,
            gradients: 2 * (half + messages), waited: waited,
            optimizer: Self.optimizerBytes * parameters / memory / count)
    }
}
