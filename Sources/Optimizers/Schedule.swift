import Foundation

/// Learning rates by step, as open_clip's: a linear warm-up, rate (step + 1) / warm-up, then the shape.
package enum Schedule: Sendable, Equatable {
    /// Half a cosine from the rate down to 0 at `total`.
    case cosine
    case constant
    /// Constant, then (1 - progress)^power over the last `steps`, from the rate down to `end`.
    case cooldown(steps: Int, power: Double, end: Double)

    /// - Parameters:
    ///   - step: counted from 0; between two steps where another run's schedule is followed at another pace
    ///   - total: steps of the whole run
    package func rate(at step: Double, base: Double, warmup: Int, total: Int) -> Double {
        if step < Double(warmup) { return base * (step + 1) / Double(warmup) }
        switch self {
        case .constant: return base
        case .cosine:
            return 0.5 * (1 + cos(.pi * (step - Double(warmup)) / Double(total - warmup))) * base
        case .cooldown(let steps, let power, let end):
            let start = total - steps
            if step < Double(start) { return base }
            let progress = (step - Double(start)) / Double(total - start)
            return pow(1 - progress, power) * (base - end) + end
        }
    }
}
