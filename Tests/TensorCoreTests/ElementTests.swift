import TensorCPU
import TensorCore
import TensorReference
import TestKit
import Testing

@Suite struct ElementTests {
    @Test(
        "bfloat16 rounds to nearest, ties to even, and keeps what it can hold",
        arguments: [
            (Float(1), Float(1)), (1.00390625, 1), (1.01171875, 1.015625), (1.005, 1.0078125), (-1.00390625, -1),
            (3.39e38, 3.3895314e38), (3.4e38, .infinity), (1e-40, 9.1835e-41), (0, 0), (.infinity, .infinity),
        ])
    func rounding(_ value: Float, _ rounded: Float) {
        let found = BFloat16.rounded(value)
        #expect(abs(found - rounded) <= abs(rounded) * 1e-3 || found == rounded)
        #expect(BFloat16.rounded(found) == found)
    }

    @Test("NaN stays NaN")
    func notANumber() { #expect(BFloat16.rounded(.nan).isNaN) }

    @Test("What an operation gives follows what it is given; a parameter's gradient is float32")
    func following() {
        let device = ReferenceDevice()
        let x = device.tensor([Float(1), 2, 3, 4], shape: [2, 2]).converted(to: .bfloat16).watched()
        let weight = device.tensor([Float(1), 0, 0.5, 1], shape: [2, 2]).watched()
        let y = linear(x, weight: weight.converted(to: .bfloat16), activation: .gelu)
        #expect(y.element == .bfloat16)
        y.backward(device.filled(1, shape: [2, 2], .bfloat16))
        #expect(x.gradient?.element == .bfloat16)
        #expect(weight.gradient?.element == .float32)
    }

    @Test("Every device says what it computes in, and holds every element", arguments: devices)
    func holding(_ test: TestDevice) {
        let device = test.make()
        #expect(device.supports(Kernel.Product.self, .float32))
        #expect(device.tensor([UInt8(3), 255], shape: [2]).floats == [3, 255])
        #expect(device.tensor([Int32(-3), 7], shape: [2]).floats == [-3, 7])
        #expect(device.read([device.filled(0.5, shape: [])]).wait() == [0.5])
    }
}
