import CCUDA
import Foundation
import TensorCore

extension CUDADevice {
    func adamW(_ call: Kernel.AdamW) {
        let step = call.step
        var (chunks, table): (UInt64, [ccuda_update]) = (0, [])
        for update in call.updates {
            let count = UInt64(update.parameter.count)
            table.append(
                ccuda_update(
                    parameter: UInt64(address(update.parameter, .float32)),
                    gradient: UInt64(address(update.gradient, .float32)), mean: UInt64(address(update.mean)),
                    square: UInt64(address(update.square)), count: count, first_chunk: chunks,
                    decays: update.decays ? 1 : 0))
            chunks += (count + 8191) / 8192
        }
        let verdict = scratch(2)
        launch(
            "optimise", "adamw_norm", grid: (1, 1, 1), threads: 32, address(call.norm, .float64), address(verdict),
            address(call.squares, .float64), Int32(call.squares.count), address(call.loss, .float32), step.clip ?? -1)
        let correction1 = 1 - pow(step.beta1, Double(step.step))
        let correction2 = (1 - pow(step.beta2, Double(step.step))).squareRoot()
        let hyper = ccuda_hyper(
            decay: Float(1 - step.rate * step.weightDecay), beta1: Float(step.beta1), rest1: Float(1 - step.beta1),
            beta2: Float(step.beta2), rest2: Float(1 - step.beta2), rate: Float(step.rate / correction1),
            correction: Float(1 / correction2), epsilon: Float(step.epsilon))
        launch(
            "optimise", "adamw", grid: (Int(chunks), 1, 1), threads: 256, address(uploaded(table)),
            Int32(table.count), address(verdict), hyper)
    }
}
