extension Kernel {
    /// Bytes to normalised planes by a table of what each value becomes: uint8 [B,H,W,3], float32 [3,256] -> [B,3,H,W].
    package struct NormalizePixels: KernelCall {
        package let x: Tensor
        package let table: Tensor
        package let y: Tensor
        package var name: String { "normalize pixels" }
        package var inputs: [Tensor] { [x, table] }
        package var outputs: [Tensor] { [y] }
    }

    /// [B,C,H,W] -> [B (H/p) (W/p), C p p], rows and columns left over at the far edges dropped.
    package struct Patchify: KernelCall {
        package let images: Tensor
        package let patch: Int
        package let y: Tensor
        package var name: String { "patchify" }
        package var inputs: [Tensor] { [images] }
        package var outputs: [Tensor] { [y] }
    }

    /// The reverse; what was dropped gets 0.
    package struct PatchifyGradient: KernelCall {
        package let dy: Tensor
        package let patch: Int
        package let dImages: Tensor
        package var name: String { "patchify gradient" }
        package var inputs: [Tensor] { [dy] }
        package var outputs: [Tensor] { [dImages] }
    }
}
