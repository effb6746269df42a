import Foundation
import Support
import TensorCPU
import TensorCore
import TensorReference

/// One operation, tested once for all: devices agree on values and gradients, gradients agree with
/// finite differences in double precision, and its time can be printed.
package struct OpCase: Sendable, CustomStringConvertible {
    package let name: String
    /// Inputs small enough for finite differences over every element.
    let small: [Input]
    /// Inputs large enough to be cut into tiles.
    let large: [Input]
    let apply: @Sendable ([Tensor]) -> Tensor
    /// Largest difference between devices, relative to the largest value.
    let tolerance: Double

    package var description: String { name }

    package struct Input: Sendable {
        let shape: [Int]
        let scale: Double
        let integersBelow: Int?

        package static func values(_ shape: Int..., scale: Double = 1) -> Input {
            Input(shape: shape, scale: scale, integersBelow: nil)
        }
        package static func integers(_ count: Int, below bound: Int) -> Input {
            Input(shape: [count], scale: 1, integersBelow: bound)
        }

        func make(on device: any Device, stream: inout RandomStream) -> Tensor {
            let count = shape.reduce(1, *)
            if let integersBelow {
                return device.tensor((0..<count).map { _ in Int32(stream.integer(below: integersBelow)) }, shape: shape)
            }
            return device.tensor((0..<count).map { _ in Float(stream.normal() * scale) }, shape: shape).watched()
        }
    }

    /// - Parameter tolerance: 2e-5 covers sums of a few thousand float32 terms.
    package init(
        _ name: String, small: [Input], large: [Input], tolerance: Double = 2e-5,
        _ apply: @escaping @Sendable ([Tensor]) -> Tensor
    ) {
        self.name = name
        self.small = small
        self.large = large
        self.tolerance = tolerance
        self.apply = apply
    }

    private func inputs(_ specs: [Input], on device: any Device) -> [Tensor] {
        var stream = RandomStream(seed: 7, purpose: name)
        return specs.map { $0.make(on: device, stream: &stream) }
    }

    /// Output and the gradient of every float input, for a fixed random output gradient.
    private func run(_ specs: [Input], on device: any Device) -> [Tensor] {
        let inputs = inputs(specs, on: device)
        let y = apply(inputs)
        var stream = RandomStream(seed: 8, purpose: name)
        y.backward(device.tensor((0..<y.count).map { _ in Float(stream.normal()) }, shape: y.shape))
        return [y.detached] + inputs.filter { $0.element == .float32 }.map { $0.gradient ?? device.zeros($0.shape) }
    }

    /// Largest difference between a device and the reference over output and gradients, each relative to
    /// its own largest value, as a multiple of the tolerance.
    package func parity(of device: any Device) -> Double {
        let truth = run(large, on: ReferenceDevice())
        let tested = run(large, on: device)
        return zip(truth, tested).map { Close.relative($0.floats, $1.floats) / tolerance }.max()!
    }

    /// Largest difference between the gradient rules and central differences, both in double precision,
    /// relative to the largest gradient of that input.
    package func finiteDifference() -> Double {
        let device = ReferenceDevice()
        let base = inputs(small, on: device)
        let y = apply(base)
        var stream = RandomStream(seed: 9, purpose: name)
        let weights = device.tensor((0..<y.count).map { _ in Float(stream.normal()) }, shape: y.shape)
        y.backward(weights)
        let weightValues = device.downloadDoubles(weights)
        func value(_ inputs: [Tensor]) -> Double {
            withoutTape { zip(device.downloadDoubles(apply(inputs)), weightValues).reduce(0) { $0 + $1.0 * $1.1 } }
        }
        var worst = 0.0
        for (index, input) in base.enumerated() where input.element == .float32 {
            let values = device.downloadDoubles(input)
            let analytic = device.downloadDoubles(input.gradient ?? device.zeros(input.shape))
            let largest = max(1e-3, analytic.map(abs).max()!)
            for i in values.indices {
                let step = 1e-5
                let sides = [step, -step].map { change in
                    var moved = values
                    moved[i] += change
                    var inputs = base
                    inputs[index] = device.tensor(doubles: moved, shape: input.shape)
                    return value(inputs)
                }
                worst = max(worst, abs((sides[0] - sides[1]) / (2 * step) - analytic[i]) / largest)
            }
        }
        return worst
    }

    /// The bits of output and gradients on a CPU device with this many threads.
    package func bits(threads: Int) -> [[UInt32]] {
        run(large, on: CPUDevice(threads: threads)).map { $0.floats.map(\.bitPattern) }
    }

    /// Seconds for the large case forward, and forward with backward: the median of `runs`.
    package func timing(on device: any Device, runs: Int = 5) -> (forward: Double, both: Double) {
        func median(_ body: () -> Void) -> Double {
            (0..<runs).map { _ in
                let start = Machine.now()
                body()
                return Machine.now() - start
            }.sorted()[runs / 2]
        }
        let made = inputs(large, on: device)
        return (median { _ = withoutTape { apply(made) } }, median { _ = run(large, on: device) })
    }
}

package enum Close {
    /// Largest absolute difference over the largest expected value.
    package static func relative(_ expected: [Float], _ actual: [Float]) -> Double {
        guard expected.count == actual.count else { return .infinity }
        let largest = max(1e-30, expected.lazy.map { Double(abs($0)) }.max() ?? 0)
        return absolute(expected, actual) / largest
    }

    package static func absolute(_ expected: [Float], _ actual: [Float]) -> Double {
        guard expected.count == actual.count else { return .infinity }
        var worst = 0.0
        for (a, b) in zip(expected, actual) {
            let difference = abs(Double(a) - Double(b))
            guard difference.isFinite else { return .infinity }
            worst = max(worst, difference)
        }
        return worst
    }
}
