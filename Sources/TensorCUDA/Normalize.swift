import TensorCore

extension CUDADevice {
    func layerNorm(_ call: Kernel.LayerNorm) {
        let kind = eights([call.x, call.y, call.weight, call.bias])
        launch(
            "layernorm", "layer_norm_\(kind)_\(suffix(call.x))", grid: blocks(call.x.rows, of: 4), threads: 128,
            address(call.y), address(call.mean), address(call.reciprocal), address(call.x),
            address(call.weight, call.x.element), address(call.bias, call.x.element), call.epsilon, Int32(call.x.rows),
            Int32(call.x.columns))
    }

    /// How many times eight values of a row a lane holds; 0 where rows are too wide, or do not begin at 16 bytes.
    private func eights(_ operands: [Tensor]) -> Int {
        let columns = operands[0].columns
        let isAligned = columns % 8 == 0 && operands.allSatisfy { address($0) % 16 == 0 }
        return isAligned && columns <= 1024 ? (columns + 255) / 256 : 0
    }

    func layerNormGradient(_ call: Kernel.LayerNormGradient) {
        let (rows, columns) = (call.x.rows, call.x.columns)
        let kind = eights([call.x, call.dx, call.dy, call.weight] + [call.addend].compactMap { $0 })
        let count = max(1, min(528, (rows + 3) / 4))
        let parts = scratch(count * 2 * columns)
        launch(
            "layernorm", "layer_norm_gradient_\(kind)_\(suffix(call.x))", grid: (count, 1, 1), threads: 128,
            shared: 32 * columns, address(call.dx), address(parts), address(call.x),
            address(call.weight, call.x.element), address(call.mean), address(call.reciprocal),
            address(call.dy, call.x.element), address(call.addend), Int32(rows), Int32(columns))
        let sums = scratch(2 * columns)
        sumParts(parts, count, into: sums)
        split(sums, call.dWeight, call.dBias)
    }

    /// The halves of sums as gradients.
    private func split(_ sums: Tensor, _ dWeight: Tensor, _ dBias: Tensor) {
        let columns = dWeight.count
        for (range, y) in [(0..<columns, dWeight), (columns..<2 * columns, dBias)] {
            let half = sums.slice(range)
            if y.element == .float32 { copy(half, to: y) } else { convert(half, to: y) }
        }
    }

    func normalizeRows(_ call: Kernel.NormalizeRows) {
        launch(
            "normalize", "normalize_rows_\(suffix(call.x))", grid: blocks(call.x.rows, of: 4), threads: 128,
            address(call.y), address(call.norms), address(call.x), Int32(call.x.rows), Int32(call.x.columns))
    }

    func normalizeRowsGradient(_ call: Kernel.NormalizeRowsGradient) {
        launch(
            "normalize", "normalize_rows_gradient_\(suffix(call.y))", grid: blocks(call.y.rows, of: 4), threads: 128,
            address(call.dx), address(call.y), address(call.norms), address(call.dy), Int32(call.y.rows),
            Int32(call.y.columns))
    }

    func columnMoments(_ call: Kernel.ColumnMoments) {
        let (rows, columns) = (call.x.rows, call.x.columns)
        sumRows(call.x, into: call.mean, factor: 1 / Float(rows))
        let across = (columns + 31) / 32
        let (count, each) = rowParts(rows, columnBlocks: across)
        let parts = scratch(count * columns)
        launch(
            "normalize", "variance_parts_\(suffix(call.x))", grid: (across, count, 1), threads: 256, shared: 1024,
            address(parts), address(call.x), address(call.mean, .float32), Int32(rows), Int32(columns), Int32(each))
        sumParts(parts, count, into: call.variance, factor: 1 / Float(rows))
    }

    func batchNorm(_ call: Kernel.BatchNorm) {
        launch(
            "normalize", "batch_norm_\(suffix(call.x))", grid: blocks(call.x.count, of: 256), threads: 256,
            address(call.y), address(call.x), address(call.weight, call.x.element),
            address(call.bias, call.x.element), address(call.mean, .float32), address(call.variance, .float32),
            call.epsilon, UInt64(call.x.count), Int32(call.x.columns))
    }

    func batchNormGradient(_ call: Kernel.BatchNormGradient) {
        let (rows, columns) = (call.x.rows, call.x.columns)
        let across = (columns + 31) / 32
        let (count, each) = rowParts(rows, columnBlocks: across)
        let (parts, sums) = (scratch(count * 2 * columns), scratch(2 * columns))
        launch(
            "normalize", "batch_norm_parts_\(suffix(call.x))", grid: (across, count, 1), threads: 256, shared: 2048,
            address(parts), address(call.x), address(call.dy, call.x.element), address(call.mean, .float32),
            address(call.variance, .float32), call.epsilon, Int32(rows), Int32(columns), Int32(each))
        sumParts(parts, count, into: sums)
        split(sums, call.dWeight, call.dBias)
        launch(
            "normalize", "batch_norm_gradient_\(suffix(call.x))", grid: blocks(call.x.count, of: 256), threads: 256,
            address(call.dx), address(call.x), address(call.dy), address(call.weight, call.x.element),
            address(call.mean), address(call.variance), address(sums), address(sums.slice(columns..<2 * columns)),
            call.epsilon, call.isOfBatch ? 1 / Float(rows) : 0, UInt64(call.x.count), Int32(columns))
    }
}
