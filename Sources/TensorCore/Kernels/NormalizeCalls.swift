extension Kernel {
    /// Rows of x to mean 0 and variance 1 (biased), then weight and bias: [N,D] -> [N,D]; mean and reciprocal float32 [N].
    package struct LayerNorm: KernelCall {
        package let x: Tensor
        package let weight: Tensor  // [D]
        package let bias: Tensor  // [D]
        package let epsilon: Float
        package let y: Tensor
        package let mean: Tensor
        /// 1 / sqrt(variance + epsilon)
        package let reciprocal: Tensor
        package var name: String { "layer norm" }
        package var inputs: [Tensor] { [x, weight, bias] }
        package var outputs: [Tensor] { [y, mean, reciprocal] }
    }

    /// [N,D] -> [N,D], [D], [D]; dx with another gradient of x added, where there is one.
    package struct LayerNormGradient: KernelCall {
        package let x: Tensor
        package let weight: Tensor
        package let mean: Tensor
        package let reciprocal: Tensor
        package let dy: Tensor
        package let addend: Tensor?
        package let dx: Tensor
        package let dWeight: Tensor
        package let dBias: Tensor
        package var name: String { "layer norm gradient" }
        package var inputs: [Tensor] { [x, weight, mean, reciprocal, dy] + [addend].compactMap { $0 } }
        package var outputs: [Tensor] { [dx, dWeight, dBias] }
    }

    /// y = x / max(|x|, 1e-12) by row: [N,D] -> [N,D], norms [N]
    package struct NormalizeRows: KernelCall {
        package let x: Tensor
        package let y: Tensor
        package let norms: Tensor
        package var name: String { "normalize rows" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y, norms] }
    }

    /// [N,D] -> [N,D]
    package struct NormalizeRowsGradient: KernelCall {
        package let y: Tensor
        package let norms: Tensor
        package let dy: Tensor
        package let dx: Tensor
        package var name: String { "normalize rows gradient" }
        package var inputs: [Tensor] { [y, norms, dy] }
        package var outputs: [Tensor] { [dx] }
    }

    /// Mean and biased variance of every column: [N,C] -> [C], [C]
    package struct ColumnMoments: KernelCall {
        package let x: Tensor
        package let mean: Tensor
        package let variance: Tensor
        package var name: String { "column moments" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [mean, variance] }
    }

    /// y = (x - mean) / sqrt(variance + epsilon) weight + bias by column: [N,C] -> [N,C]
    package struct BatchNorm: KernelCall {
        package let x: Tensor
        package let weight: Tensor  // [C]
        package let bias: Tensor  // [C]
        package let epsilon: Float
        package let mean: Tensor  // [C]
        package let variance: Tensor  // [C]
        package let y: Tensor
        package var name: String { "batch norm" }
        package var inputs: [Tensor] { [x, weight, bias, mean, variance] }
        package var outputs: [Tensor] { [y] }
    }

    /// [N,C] -> [N,C], [C], [C]
    package struct BatchNormGradient: KernelCall {
        package let x: Tensor
        package let weight: Tensor
        package let epsilon: Float
        package let mean: Tensor
        package let variance: Tensor
        /// Mean and variance came from x, and gradients flow through them.
        package let isOfBatch: Bool
        package let dy: Tensor
        package let dx: Tensor
        package let dWeight: Tensor
        package let dBias: Tensor
        package var name: String { "batch norm gradient" }
        package var inputs: [Tensor] { [x, weight, mean, variance, dy] }
        package var outputs: [Tensor] { [dx, dWeight, dBias] }
    }
}
