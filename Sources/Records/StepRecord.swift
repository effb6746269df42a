package import Support

/// A logged step of a run: a line of metrics.jsonl.
package struct StepRecord: Sendable, Equatable {
    package var step: Int
    /// Of the whole run.
    package var steps: Int
    package var pairsSeen: Int
    package var epoch: Int
    /// Nats per image.
    package var loss: Double
    package var learningRate: Double
    /// The factor, not its logarithm.
    package var logitScale: Double
    package var logitBias: Double?
    /// Before clipping.
    package var gradientNorm: Double
    package var pairsPerSecond: Double
    /// Of the step's time.
    package var dataWaitFraction: Double
    /// Faulty samples so far, of the whole run.
    package var leftOut: Int
    /// The largest of all processes.
    package var peakMemoryBytes: Int
    /// nil for one process.
    package var ranks: RanksRecord?

    package init(step: Int, steps: Int) {
        (self.step, self.steps) = (step, steps)
        (pairsSeen, epoch, leftOut, peakMemoryBytes) = (0, 0, 0, 0)
        (loss, learningRate, logitScale, gradientNorm, pairsPerSecond, dataWaitFraction) = (0, 0, 0, 0, 0, 0)
    }

    package var json: JSON {
        let json: JSON = [
            "step": .integer(step), "pairs_seen": .integer(pairsSeen), "epoch": .integer(epoch), "loss": .number(loss),
            "learning_rate": .number(learningRate), "logit_scale": .number(logitScale),
            "logit_bias": logitBias.map { .number($0) } ?? .null, "gradient_norm": .number(gradientNorm),
            "pairs_per_second": .number(pairsPerSecond), "data_wait_fraction": .number(dataWaitFraction),
            "left_out": .integer(leftOut), "peak_memory_bytes": .integer(peakMemoryBytes),
        ]
        guard let ranks else { return json }
        return json.setting("ranks", to: .integer(ranks.count)).setting("slowest_rank", to: .integer(ranks.slowest))
            .setting(
                "compute_seconds", to: [.number(ranks.computeSeconds.least), .number(ranks.computeSeconds.most)]
            ).setting("exchange_fraction", to: .number(ranks.exchangeFraction))
    }

    /// nil for a line that is no step's.
    package init?(_ json: JSON) {
        guard let step = json["step"]?.integer, let loss = json["loss"]?.number else { return nil }
        self.init(step: step, steps: 0)
        self.loss = loss
        (pairsSeen, epoch) = (json["pairs_seen"]?.integer ?? 0, json["epoch"]?.integer ?? 0)
        learningRate = json["learning_rate"]?.number ?? 0
        (logitScale, logitBias) = (json["logit_scale"]?.number ?? 0, json["logit_bias"]?.number)
        gradientNorm = json["gradient_norm"]?.number ?? 0
        pairsPerSecond = json["pairs_per_second"]?.number ?? 0
        dataWaitFraction = json["data_wait_fraction"]?.number ?? 0
        (leftOut, peakMemoryBytes) = (json["left_out"]?.integer ?? 0, json["peak_memory_bytes"]?.integer ?? 0)
        ranks = RanksRecord(json)
    }

    /// TensorBoard's tags.
    package var scalars: [(tag: String, value: Double)] {
        [
            ("train/loss", loss), ("train/learning_rate", learningRate), ("train/logit_scale", logitScale),
            ("train/gradient_norm", gradientNorm), ("speed/pairs_per_second", pairsPerSecond),
            ("speed/data_wait_fraction", dataWaitFraction),
        ] + [ranks.map { ("speed/exchange_fraction", $0.exchangeFraction) }].compactMap { $0 }
            + [logitBias.map { ("train/logit_bias", $0) }].compactMap { $0 }
    }
}

/// How a step went over several processes.
package struct RanksRecord: Sendable, Equatable {
    package let count: Int
    /// That computed longest.
    package let slowest: Int
    /// Of the quickest and the slowest rank.
    package let computeSeconds: (least: Double, most: Double)
    /// Of the step's time, the most that a rank waited for others.
    package let exchangeFraction: Double

    package init(
        count: Int, slowest: Int, computeSeconds: (least: Double, most: Double), exchangeFraction: Double
    ) {
        (self.count, self.slowest, self.exchangeFraction) = (count, slowest, exchangeFraction)
        self.computeSeconds = computeSeconds
    }

    init?(_ json: JSON) {
        guard let count = json["ranks"]?.integer, let seconds = json["compute_seconds"]?.array?.compactMap(\.number),
            seconds.count == 2
        else { return nil }
        self.init(
            count: count, slowest: json["slowest_rank"]?.integer ?? 0, computeSeconds: (seconds[0], seconds[1]),
            exchangeFraction: json["exchange_fraction"]?.number ?? 0)
    }

    package static func == (a: RanksRecord, b: RanksRecord) -> Bool {
        a.count == b.count && a.slowest == b.slowest && a.computeSeconds == b.computeSeconds
            && a.exchangeFraction == b.exchangeFraction
    }
}

/// The objective on held-out pairs after a step: a line of metrics.jsonl.
package struct ValidationRecord: Sendable, Equatable {
    package let step: Int
    package let loss: Double
    /// Pairs of a batch, on which the loss depends.
    package let batch: Int
    /// Pairs that the loss is over.
    package let pairs: Int
    /// Held-out pairs that fill no further batch, and faulty samples.
    package let leftOut: Int

    package init(step: Int, loss: Double, batch: Int, pairs: Int, leftOut: Int) {
        (self.step, self.loss, self.batch, self.pairs, self.leftOut) = (step, loss, batch, pairs, leftOut)
    }

    package var json: JSON {
        [
            "step": .integer(step), "validation_loss": .number(loss), "validation_batch": .integer(batch),
            "validation_pairs": .integer(pairs), "validation_left_out": .integer(leftOut),
        ]
    }

    /// nil for a line that is no validation's.
    package init?(_ json: JSON) {
        guard let step = json["step"]?.integer, let loss = json["validation_loss"]?.number else { return nil }
        self.init(
            step: step, loss: loss, batch: json["validation_batch"]?.integer ?? 0,
            pairs: json["validation_pairs"]?.integer ?? 0, leftOut: json["validation_left_out"]?.integer ?? 0)
    }

    package var scalars: [(tag: String, value: Double)] { [("validation/loss", loss)] }
}
