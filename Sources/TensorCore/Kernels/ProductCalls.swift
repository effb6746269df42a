/// What happens to a block of a product while it is in cache: c = product (+ bias) (+ residual), and
/// with an activation that sum goes to `preactivation` (when asked for) and c holds its activation.
package struct Epilogue: Sendable {
    /// [N]
    package var bias: Tensor?
    package var activation: Activation?
    /// [M,N], filled
    package var preactivation: Tensor?
    /// [M,N]
    package var residual: Tensor?
    /// Multiply by the activation's slope at these pre-activations [M,N], which then become the activation's values;
    /// excludes `activation`.
    package var slope: (activation: Activation, preactivation: Tensor)?

    /// float32 [N], filled: the column sums of c, a bias's gradient.
    package var sums: Tensor?

    /// Whether nothing happens to the product.
    package var isEmpty: Bool {
        bias == nil && activation == nil && preactivation == nil && residual == nil && slope == nil
    }

    package init(
        bias: Tensor? = nil, activation: Activation? = nil, preactivation: Tensor? = nil, residual: Tensor? = nil,
        slope: (activation: Activation, preactivation: Tensor)? = nil, sums: Tensor? = nil
    ) {
        self.sums = sums
        self.slope = slope
        self.bias = bias
        self.activation = activation
        self.preactivation = preactivation
        self.residual = residual
    }
}

/// A matrix as a product reads it.
package struct Factor: Sendable {
    package let matrix: Tensor
    /// Whether its axes are read the other way round.
    package let isTransposed: Bool

    package init(_ matrix: Tensor, transposed: Bool = false) { (self.matrix, isTransposed) = (matrix, transposed) }

    package var rows: Int { isTransposed ? matrix.shape[1] : matrix.shape[0] }
    package var columns: Int { isTransposed ? matrix.shape[0] : matrix.shape[1] }
}

extension Kernel {
    /// c = a b, then the epilogue: [M,K] x [K,N] -> [M,N]. The operands a and b are of one element, c may be of another.
    package struct Product: KernelCall {
        package let a: Factor
        package let b: Factor
        package let c: Tensor
        package var epilogue = Epilogue()

        /// (M, N, K)
        package var size: (m: Int, n: Int, k: Int) { (c.shape[0], c.shape[1], a.columns) }
        package var name: String {
            "matmul \(size.m) x \(size.n) x \(size.k)\(a.isTransposed ? ", transposed" : "")"
        }
        package var inputs: [Tensor] {
            [a.matrix, b.matrix] + [epilogue.bias, epilogue.residual].compactMap { $0 }
        }
        package var outputs: [Tensor] {
            [c] + [epilogue.preactivation, epilogue.slope?.preactivation, epilogue.sums].compactMap { $0 }
        }
        package var flops: Int { 2 * size.m * size.n * size.k }
    }
}
