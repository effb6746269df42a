/// Pointwise non-linearities.
package enum Activation: Int32, Sendable, CaseIterable {
    /// x sigmoid(1.702 x): OpenAI's and MetaCLIP's weights.
    case quickGELU = 0
    /// x Phi(x), by the error function.
    case gelu = 1
    /// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    case geluTanh = 2
    case relu = 3
    case tanh = 4
}

// Operands of one shape, any.
extension Kernel {
    /// y = value
    package struct Fill: KernelCall {
        package let y: Tensor
        package let value: Float
        package var name: String { "fill" }
        package var inputs: [Tensor] { [] }
        package var outputs: [Tensor] { [y] }
    }

    /// y = x
    package struct Copy: KernelCall {
        package let x: Tensor
        package let y: Tensor
        package var name: String { "copy" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y] }
    }

    /// y = x in y's element, float32 or bfloat16 each.
    package struct Convert: KernelCall {
        package let x: Tensor
        package let y: Tensor
        package var name: String { "convert" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y] }
    }

    /// y = a + b
    package struct Add: KernelCall {
        package let a: Tensor
        package let b: Tensor
        package let y: Tensor
        package var name: String { "add" }
        package var inputs: [Tensor] { [a, b] }
        package var outputs: [Tensor] { [y] }
    }

    /// y += factor x
    package struct Accumulate: KernelCall {
        package let x: Tensor
        package let factor: Float
        package let y: Tensor
        package var name: String { "accumulate" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y] }
    }

    /// y = factor x; y may be x.
    package struct Scale: KernelCall {
        package let x: Tensor
        package let factor: Float
        package let y: Tensor
        package var name: String { "scale" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y] }
    }

    /// y = factor x with a factor [] that is on the device; y may be x.
    package struct ScaleByElement: KernelCall {
        package let x: Tensor
        package let factor: Tensor
        package let y: Tensor
        package var name: String { "scale by element" }
        package var inputs: [Tensor] { [x, factor] }
        package var outputs: [Tensor] { [y] }
    }

    /// x = x kept within low...high; NaN stays.
    package struct Clamp: KernelCall {
        package let x: Tensor
        package let low: Float
        package let high: Float
        package var name: String { "clamp" }
        package var inputs: [Tensor] { [] }
        package var outputs: [Tensor] { [x] }
    }

    /// y = a b
    package struct Multiply: KernelCall {
        package let a: Tensor
        package let b: Tensor
        package let y: Tensor
        package var name: String { "multiply" }
        package var inputs: [Tensor] { [a, b] }
        package var outputs: [Tensor] { [y] }
    }

    /// y = activation(x)
    package struct Activate: KernelCall {
        package let kind: Activation
        package let x: Tensor
        package let y: Tensor
        package var name: String { "activate" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y] }
    }

    /// dx = dy activation'(x)
    package struct ActivateGradient: KernelCall {
        package let kind: Activation
        package let x: Tensor
        package let dy: Tensor
        package let dx: Tensor
        package var name: String { "activate gradient" }
        package var inputs: [Tensor] { [x, dy] }
        package var outputs: [Tensor] { [dx] }
    }
}
