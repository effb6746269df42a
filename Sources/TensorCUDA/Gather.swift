import TensorCore

extension CUDADevice {
    func gatherRows(_ call: Kernel.GatherRows) {
        launch(
            "gather", "gather_\(suffix(call.x))", grid: blocks(call.indices.count, of: 8), threads: 256,
            address(call.y), address(call.x), address(call.indices), address(call.addend), Int32(call.indices.count),
            Int32(call.x.columns))
    }

    /// Sums of each target row in the order of the indices: no two blocks write to one place.
    func scatterAddRows(_ call: Kernel.ScatterAddRows) {
        let groups = call.indices.groups(of: call.dx.rows)
        launch(
            "gather", "scatter_\(suffix(call.dy))", grid: (call.dx.rows, (call.dx.columns + 255) / 256, 1),
            threads: 256, address(call.dx), address(call.dy), address(groups.order), address(groups.starts),
            Int32(call.dx.columns))
    }
}
