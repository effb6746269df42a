/// What a device computes with. Parameters, their gradients and moments, statistics and the loss are float32 always.
package enum Precision: String, Sendable, CaseIterable {
    case fp32
    /// Products of float32 operands may round them to TF32: 10 bits of mantissa. GPUs only.
    case tf32
    /// Activations and the weights that products take are bfloat16; products of float32 as with tf32. GPUs only.
    case bf16

    /// What towers compute in.
    package var element: Element { self == .bf16 ? .bfloat16 : .float32 }
}
