import Foundation
import Support
import TensorCPU
package import TensorCore
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
    /// Largest difference from the reference by element, relative to the largest value.
    let tolerances: [Element: Double]

    package var description: String { name }

    package struct Input: Sendable {
        let shape: [Int]
        let scale: Double

        package static func values(_ shape: Int..., scale: Double = 1) -> Input {
            Input(shape: shape, scale: scale)
        }

        /// - Parameters:
        ///   - element: values are rounded to it
        ///   - held: the element they are held in
        func make(on device: any Device, as element: Element, held: Element, stream: inout RandomStream) -> Tensor {
            let values = (0..<shape.reduce(1, *)).map { _ in
                let value = Float(stream.normal() * scale)
                return element == .bfloat16 ? BFloat16.rounded(value) : value
            }
            return device.tensor(values, shape: shape).converted(to: held).watched()
        }
    }

    /// - Parameters:
    ///   - tolerance: of float32; 2e-5 covers sums of a few thousand terms
    ///   - elements: that the operation is defined for
    package init(
        _ name: String, small: [Input], large: [Input], tolerance: Double = 2e-5,
        elements: [Element] = [.float32, .bfloat16], _ apply: @escaping @Sendable ([Tensor]) -> Tensor
    ) {
        self.name = name
        self.small = small
        self.large = large
        tolerances = Dictionary(
            uniqueKeysWithValues: elements.map { ($0, $0 == .bfloat16 ? Self.bfloat16Tolerance : tolerance) })
        self.apply = apply
    }

    /// A result of a few rounded steps, each good to 2^-9 of its value.
    private static let bfloat16Tolerance = 1e-2

    private func inputs(_ specs: [Input], on device: any Device, as element: Element, held: Element) -> [Tensor] {
        var stream = RandomStream(seed: 7, purpose: name)
        return specs.map { $0.make(on: device, as: element, held: held, stream: &stream) }
    }

    /// Output and the gradient of every input, for a fixed random output gradient.
    private func run(_ specs: [Input], on device: any Device, as element: Element, held: Element) -> [Tensor] {
        let inputs = inputs(specs, on: device, as: element, held: held)
        let y = apply(inputs)
        let dy = Input(shape: y.shape, scale: 1)
        var stream = RandomStream(seed: 8, purpose: name)
        y.backward(dy.make(on: device, as: element, held: held, stream: &stream).detached)
        return [y.detached] + inputs.map { $0.gradient ?? device.zeros($0.shape) }
    }

    /// Whether a device computes all of it in an element.
    package func isDefined(on device: any Device, as element: Element) -> Bool {
        guard tolerances[element] != nil else { return false }
        let recorder = ProfilingDevice(ReferenceDevice())
        _ = run(small, on: recorder, as: .float32, held: .float32)
        return recorder.kinds.allSatisfy { device.supports($0, element) }
    }

    /// Largest difference between a device and the reference in double precision over output and gradients, each relative
    /// to its own largest value, as a multiple of the tolerance. Both get inputs rounded to the element.
    package func parity(of device: any Device, as element: Element = .float32) -> Double {
        let truth = run(large, on: ReferenceDevice(), as: element, held: .float32)
        let tested = run(large, on: device, as: element, held: element)
        let tolerance = tolerances[element] ?? 0
        return zip(truth, tested).map { Close.relative($0.floats, $1.floats) / tolerance }.max() ?? .infinity
    }

    /// Largest difference between the gradient rules and central differences, both in double precision,
    /// relative to the largest gradient of that input.
    package func finiteDifference() -> Double {
        let device = ReferenceDevice()
        let base = inputs(small, on: device, as: .float32, held: .float32)
        let y = apply(base)
        var stream = RandomStream(seed: 9, purpose: name)
        let weights = device.tensor((0..<y.count).map { _ in Float(stream.normal()) }, shape: y.shape)
        y.backward(weights)
        let weightValues = device.downloadDoubles(weights)
        func value(_ inputs: [Tensor]) -> Double {
            withoutTape { zip(device.downloadDoubles(apply(inputs)), weightValues).reduce(0) { $0 + $1.0 * $1.1 } }
        }
        var worst = 0.0
        for (index, input) in base.enumerated() {
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

    /// The bits of output and gradients.
    package func bits(on device: any Device, as element: Element = .float32) -> [[UInt32]] {
        run(large, on: device, as: element, held: element).map { $0.floats.map(\.bitPattern) }
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
        let made = inputs(large, on: device, as: .float32, held: .float32)
        return (
            median { _ = withoutTape { apply(made) } },
            median { _ = run(large, on: device, as: .float32, held: .float32) }
        )
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
