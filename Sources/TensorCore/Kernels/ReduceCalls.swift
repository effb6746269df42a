extension Kernel {
    /// y[n] = sum over rows of x[., n]: [N,D] -> [D]
    package struct SumRows: KernelCall {
        package let x: Tensor
        package let y: Tensor
        package var name: String { "sum rows" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y] }
    }

    /// sums[i] = the sum of squares of all of xs[i], in double: any shapes -> float64 [count]
    package struct SumOfSquares: KernelCall {
        package let xs: [Tensor]
        package let sums: Tensor
        package var name: String { "sum of squares" }
        package var inputs: [Tensor] { xs }
        package var outputs: [Tensor] { [sums] }
    }

    /// y[s] = mean of the rows of sequence s: [N,D] -> [S,D]
    package struct SegmentMean: KernelCall {
        package let x: Tensor
        package let segments: Segments
        package let y: Tensor
        package var name: String { "segment mean" }
        package var inputs: [Tensor] { [x] }
        package var outputs: [Tensor] { [y] }
    }

    /// Every row of sequence s gets dy[s] / its length: [S,D] -> [N,D]
    package struct SegmentMeanGradient: KernelCall {
        package let dy: Tensor
        package let segments: Segments
        package let dx: Tensor
        package var name: String { "segment mean gradient" }
        package var inputs: [Tensor] { [dy] }
        package var outputs: [Tensor] { [dx] }
    }
}
