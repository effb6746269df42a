import CCUDA
import TensorCore

extension CUDADevice {
    /// How many rows each part of a sum over rows takes: fixed by the shape alone.
    func rowParts(_ rows: Int, columnBlocks: Int) -> (count: Int, each: Int) {
        let wanted = max(1, min(rows / 32, 4224 / max(1, columnBlocks)))
        let each = max(1, (rows + wanted - 1) / wanted)
        return (max(1, (rows + each - 1) / each), each)
    }

    func sumRows(_ call: Kernel.SumRows) { sumRows(call.x, into: call.y, factor: 1) }

    /// Column sums times a factor.
    func sumRows(_ x: Tensor, into y: Tensor, factor: Float) {
        let across = (x.columns + 127) / 128
        let (count, each) = rowParts(x.rows, columnBlocks: across)
        let parts = scratch(count * x.columns)
        launch(
            "reduce", "sum_rows_part_\(suffix(x))", grid: (across, count, 1), threads: 256, shared: 4096,
            address(parts), address(x), Int32(x.rows), Int32(x.columns), Int32(each))
        sumParts(parts, count, into: y, factor: factor)
    }

    /// y = factor times the sum of `count` parts of its size.
    func sumParts(_ parts: Tensor, _ count: Int, into y: Tensor, factor: Float = 1) {
        launch(
            "reduce", "sum_parts_\(suffix(y))", grid: blocks(y.count, of: 32), threads: 256, shared: 1024, address(y),
            address(parts), Int32(count), Int32(y.count), factor)
    }

    func sumOfSquares(_ call: Kernel.SumOfSquares) {
        guard !call.xs.isEmpty else { return }
        var (chunks, table): (UInt64, [ccuda_summand]) = (0, [])
        for x in call.xs {
            table.append(
                ccuda_summand(values: UInt64(address(x, .float32)), count: UInt64(x.count), first_chunk: chunks))
            chunks += UInt64((x.count + 16383) / 16384)
        }
        let (onCard, sums) = (uploaded(table), scratch(Int(chunks), .float64))
        launch(
            "reduce", "sum_squares_chunks", grid: (Int(chunks), 1, 1), threads: 256, shared: 64, address(sums),
            address(onCard), Int32(table.count))
        launch(
            "reduce", "sum_squares", grid: (table.count, 1, 1), threads: 32, address(call.sums, .float64),
            address(sums), address(onCard), Int32(table.count), chunks)
    }

    /// A table that kernels read.
    func uploaded<Row>(_ table: [Row]) -> Tensor {
        let y = scratch(table.count * MemoryLayout<Row>.stride, .uint8)
        table.withUnsafeBytes { upload($0, into: y) }
        return y
    }

    func segmentMean(_ call: Kernel.SegmentMean) {
        launch(
            "reduce", "segment_mean_\(suffix(call.x))", grid: (call.segments.count, 1, 1), threads: 128,
            address(call.y), address(call.x), address(call.segments.offsets), Int32(call.x.columns))
    }

    func segmentMeanGradient(_ call: Kernel.SegmentMeanGradient) {
        launch(
            "reduce", "segment_mean_gradient_\(suffix(call.dy))", grid: (call.segments.count, 1, 1), threads: 128,
            address(call.dx), address(call.dy), address(call.segments.offsets), Int32(call.dy.columns))
    }
}
