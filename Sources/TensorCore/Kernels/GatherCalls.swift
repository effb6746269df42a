extension Kernel {
    /// y[i] = x[indices[i]] (+ addend[i]): [V,D] -> [N,D]
    package struct GatherRows: KernelCall {
        package let x: Tensor
        package let indices: Indices
        package let addend: Tensor?
        package let y: Tensor
        package var name: String { "gather rows" }
        package var inputs: [Tensor] { [x] + [addend].compactMap { $0 } }
        package var outputs: [Tensor] { [y] }
        /// The rows that are read, not the table.
        package var bytes: Int { (addend == nil ? 2 : 3) * y.count * y.element.bytes + 4 * indices.count }
    }

    /// dx = 0, then dx[indices[i]] += dy[i] in the order of i: [N,D] -> [V,D]
    package struct ScatterAddRows: KernelCall {
        package let dy: Tensor
        package let indices: Indices
        package let dx: Tensor
        package var name: String { "scatter add rows" }
        package var inputs: [Tensor] { [dy] }
        package var outputs: [Tensor] { [dx] }
    }
}
