import Encoders
package import Optimizers
package import TensorCore

/// What a training step does besides its task.
package struct StepSettings: Sendable {
    /// The longest that all gradients as one vector may be; nil: any.
    package var clip: Double?
    /// Pairs whose values are held at a time; nil: all of a batch.
    package var chunk: Int?
    /// What towers compute in.
    package var element = Element.float32
    /// Parameters that stay as they are.
    package var isFrozen: @Sendable (String) -> Bool

    package init(
        clip: Double? = nil, chunk: Int? = nil, isFrozen: @escaping @Sendable (String) -> Bool = { _ in false }
    ) {
        (self.clip, self.chunk, self.isFrozen) = (clip, chunk, isFrozen)
    }
}

/// One step of training, the only place where parameters change: gradients, their sum over the group, norm, clip, update,
/// clamp. Nothing in it waits for the device but where bytes travel.
package struct Step: Sendable {
    package var task: LearningTask
    package internal(set) var optimizer: AdamW
    package let settings: StepSettings
    /// nil: one undivided batch in one process
    package let slicing: Slicing?
    var sliced = SlicedState()

    package init(_ task: LearningTask, _ optimizer: AdamW, _ settings: StepSettings, _ slicing: Slicing? = nil) {
        (self.task, self.optimizer, self.settings, self.slicing) = (task, optimizer, settings, slicing)
    }

    /// - Parameters:
    ///   - batch: this rank's part of it
    ///   - rate: learning rate
    /// - Throws: `Failure(.machine)` when other ranks cannot be reached
    package mutating func callAsFunction(_ batch: PairBatch, rate: Double) throws -> StepResult {
        if let slicing { return try self.sliced(batch, rate: rate, slicing) }
        let (loss, gradients) = task.gradients(
            batch, chunk: settings.chunk, as: settings.element, isFrozen: settings.isFrozen)
        return apply(gradients, loss: loss, rate: rate)
    }

    /// The second half of a step, for gradients that came another way.
    ///
    /// - Parameter loss: [], that they are of
    package mutating func apply(_ gradients: Gradients, loss: Tensor, rate: Double) -> StepResult {
        let counted = optimizer.step
        let norms = optimizer.update(gradients, loss: loss, rate: rate, clip: settings.clip)
        if loss.device.failure != nil { optimizer.step = counted }  // nothing was done
        task.constrain()
        return StepResult(loss: loss, norms, task.model)
    }
}

/// What a step came to, still on the device: one copy is queued, and read when it is waited for.
package struct StepResult: Sendable {
    package struct Values: Sendable {
        package let loss: Float
        /// Of all gradients as one vector, before clipping.
        package let gradientNorm: Double
        /// The logarithm of the logit scale after the step.
        package let logScale: Float
        package let logitBias: Float?

        package var isFinite: Bool { loss.isFinite && gradientNorm.isFinite }
    }

    private let pending: Pending
    private let culprit: @Sendable () -> String?

    /// - Parameters:
    ///   - loss, norm: known on the host
    ///   - culprit: the first parameter whose gradient is not finite
    init(loss: Double, norm: Double, culprit: String?, _ model: DualEncoder) {
        self.culprit = { culprit }
        let scalars = model.logScale.value.device.read(
            [model.logScale.value] + [model.logitBias?.value].compactMap { $0 })
        pending = Pending { [loss, norm] + scalars.wait() }
    }

    init(loss: Tensor, _ norms: AdamW.Norms, _ model: DualEncoder) {
        culprit = { norms.firstNonFinite }
        pending = loss.device.read(
            [loss, norms.norm, model.logScale.value] + [model.logitBias?.value].compactMap { $0 })
    }

    /// Waits for the step.
    package func wait() -> Values {
        let values = pending.wait()
        return Values(
            loss: Float(values[0]), gradientNorm: values[1], logScale: Float(values[2]),
            logitBias: values.count > 3 ? Float(values[3]) : nil)
    }

    /// Where the norm is not finite: the first parameter whose gradient is not. Waits.
    package var firstNonFinite: String? { culprit() }
}
