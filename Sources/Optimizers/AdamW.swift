import Support
package import TensorCore

/// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) in PyTorch's form.
///
/// Two groups cover every parameter: no decay for vectors and scalars and for names with bn, ln, bias or
/// logit_scale (open_clip's rule); everything else decays.
package struct AdamW: Sendable {
    package struct Settings: Sendable, Equatable {
        package var beta1: Double
        package var beta2: Double
        package var epsilon: Double
        package var weightDecay: Double
        package init(beta1: Double = 0.9, beta2: Double = 0.98, epsilon: Double = 1e-6, weightDecay: Double = 0.2) {
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.weightDecay = weightDecay
        }
    }

    /// The running moments of one parameter, of its shape.
    package struct Moments: Sendable {
        package let mean: Tensor
        package let square: Tensor
        package init(mean: Tensor, square: Tensor) {
            self.mean = mean
            self.square = square
        }
    }

    /// What a step made on the device besides its updates.
    package struct Norms: Sendable {
        /// float64 [], of all gradients as one vector
        package let norm: Tensor
        /// float64 [names]
        package let squares: Tensor
        package let names: [String]

        /// The first parameter whose gradient is not finite. Waits.
        package var firstNonFinite: String? {
            var found: Int?
            squares.device.withValues(of: squares) { bytes in
                found = bytes.bindMemory(to: Double.self).firstIndex { !$0.isFinite }
            }
            return found.map { names[$0] }
        }
    }

    package let settings: Settings
    /// Updates made so far.
    package var step = 0
    /// By parameter; made when its first gradient arrives.
    package var moments: [String: Moments] = [:]

    package init(_ settings: Settings) { self.settings = settings }

    /// The first parameter whose moments are NaN or infinite. Waits.
    package var firstNonFinite: String? {
        moments.sorted { $0.key < $1.key }.first {
            $0.value.mean.floats.firstNonFinite != nil || $0.value.square.floats.firstNonFinite != nil
        }?.key
    }

    package static func decays(_ name: String, dimensions: Int) -> Bool {
        dimensions >= 2 && !["bn", "ln", "bias", "logit_scale"].contains { name.contains($0) }
    }

    /// One step, in place, on every parameter that has a gradient, and none where the loss or the norm is not finite. Does
    /// not wait.
    ///
    /// - Parameters:
    ///   - loss: [], that the gradients are of
    ///   - rate: learning rate
    ///   - clip: the longest that all gradients as one vector may be
    package mutating func update(_ gradients: Gradients, loss: Tensor, rate: Double, clip: Double?) -> Norms {
        step += 1
        let (device, arrived) = (loss.device, gradients.arrived)
        let updates = arrived.map { entry, gradient in
            let moments =
                self.moments[entry.name]
                ?? Moments(mean: device.zeros(entry.value.shape), square: device.zeros(entry.value.shape))
            self.moments[entry.name] = moments
            return AdamWUpdate(
                parameter: entry.value, gradient: gradient, mean: moments.mean, square: moments.square,
                decays: Self.decays(entry.name, dimensions: entry.value.shape.count))
        }
        let squares = sumsOfSquares(arrived.map(\.gradient), on: device)
        let norm = adamW(updates, squares: squares, loss: loss, hyper(rate: rate, clip: clip))
        return Norms(norm: norm, squares: squares, names: arrived.map(\.entry.name))
    }

    /// Of the step at hand.
    package func hyper(rate: Double, clip: Double?) -> AdamWStep {
        var hyper = AdamWStep(
            rate: rate, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
            weightDecay: settings.weightDecay, step: step)
        hyper.clip = clip
        return hyper
    }
}
