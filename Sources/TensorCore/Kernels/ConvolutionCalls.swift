// Feature maps of B images as [B pixels, C]; a window's taps are k k.
extension Kernel {
    /// [B inputs, C] -> [B outputs, C taps], 0 where a window leaves the map.
    package struct Unfold: KernelCall {
        package let x: Tensor
        package let windows: Windows
        package let y: Tensor
        package var name: String { "unfold" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y] }
    }

    /// [B outputs, C taps] -> [B inputs, C]
    package struct UnfoldGradient: KernelCall {
        package let dy: Tensor
        package let windows: Windows
        package let dx: Tensor
        package var name: String { "unfold gradient" }
        package var inputs: [Tensor] { [dy] }
        package var outputs: [Tensor] { [dx] }
    }

    /// [B inputs, C] -> [B outputs, C], every channel with a kernel of its own.
    package struct Depthwise: KernelCall {
        package let x: Tensor
        package let windows: Windows
        package let weight: Tensor  // [C,1,k,k]
        package let bias: Tensor  // [C]
        package let y: Tensor
        package var name: String { "depthwise" }
        package var inputs: [Tensor] { [x, weight, bias] }
        package var outputs: [Tensor] { [y] }
    }

    /// [B outputs, C] -> [B inputs, C], [C,1,k,k]
    package struct DepthwiseGradient: KernelCall {
        package let x: Tensor
        package let windows: Windows
        package let weight: Tensor
        package let dy: Tensor
        package let dx: Tensor
        package let dWeight: Tensor
        package var name: String { "depthwise gradient" }
        package var inputs: [Tensor] { [x, weight, dy] }
        package var outputs: [Tensor] { [dx, dWeight] }
    }
}
