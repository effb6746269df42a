import CCUDA
import TensorCore

extension CUDADevice {
    /// Head widths that the matrix kernels are made for; others are padded to the next.
    private static let padded = [32, 64, 80, 96, 128]

    private func address(_ block: ColumnBlock) -> UInt {
        address(block.tensor) + UInt(block.start * block.tensor.element.bytes)
    }

    /// Which kernels do it: by the matrix units where every row begins at 16 bytes.
    private func path(_ x: AttentionInputs, _ others: [ColumnBlock] = []) -> Int? {
        let blocks = [x.query, x.key, x.value] + others
        let isAligned = blocks.allSatisfy { address($0) % 16 == 0 && $0.tensor.columns % 8 == 0 }
        guard x.query.tensor.element == .bfloat16, isAligned, x.headWidth % 8 == 0 else { return nil }
        return Self.padded.first { $0 >= x.headWidth }
    }

    private func operands(_ x: AttentionInputs, tiles: Int) -> ccuda_attention_operands {
        precondition(x.headWidth <= 256, "attention: heads of \(x.headWidth) values are not supported, at most 256")
        return ccuda_attention_operands(
            query: UInt64(address(x.query)), key: UInt64(address(x.key)), value: UInt64(address(x.value)),
            query_stride: Int32(x.query.tensor.columns), key_stride: Int32(x.key.tensor.columns),
            value_stride: Int32(x.value.tensor.columns), query_offsets: UInt64(address(x.querySegments.offsets)),
            key_offsets: UInt64(address(x.keySegments.offsets)), heads: Int32(x.heads), width: Int32(x.headWidth),
            scale: x.scale, causal: x.causal ? 1 : 0, tiles: Int32(tiles))
    }

    private func tiles(_ segments: Segments, _ rows: Int) -> Int { (segments.longest + rows - 1) / rows }

    /// Warps of a block where registers allow `most` threads, each with rows of 16 in as few rounds as there must be.
    private func threads(_ strips: Int, most: Int) -> Int {
        let rounds = (strips + most / 32 - 1) / (most / 32)
        return 32 * ((strips + rounds - 1) / rounds)
    }

    func attention(_ call: Kernel.Attention) {
        let x = call.operands
        let sequences = x.querySegments.count
        guard let padded = path(x) else {
            let tiles = tiles(x.querySegments, 4)
            return launch(
                "attention", "attention_plain_\(suffix(call.y))", grid: (tiles * x.heads * sequences, 1, 1),
                threads: 128, shared: 16 * x.headWidth, address(call.y), address(call.logSumExp),
                operands(x, tiles: tiles))
        }
        // Where all keys and values of a sequence fit a block's memory they are fetched once.
        let rows = 64 * tiles(x.keySegments, 64)
        let (whole, tiled) = (4 * rows * (padded + 8), 512 * (padded + 8))
        if whole <= mostShared {
            launch(
                "attention", "attention_whole_\(padded)", grid: (x.heads * sequences, 1, 1),
                threads: threads(tiles(x.querySegments, 16), most: 256), shared: whole, address(call.y),
                address(call.logSumExp), operands(x, tiles: rows))
        } else {
            let tiles = tiles(x.querySegments, 64)
            launch(
                "attention", "attention_\(padded)", grid: (tiles * x.heads * sequences, 1, 1), threads: 128,
                shared: tiled, address(call.y), address(call.logSumExp), operands(x, tiles: tiles))
        }
    }

    func attentionGradient(_ call: Kernel.AttentionGradient) {
        let x = call.operands
        let along = scratch(call.logSumExp.count)
        launch(
            "attention", "attention_along_\(suffix(call.y))", grid: blocks(along.count, of: 4), threads: 128,
            address(along), address(call.y), address(call.dy, call.y.element), Int32(x.heads), Int32(x.headWidth),
            UInt64(along.count))
        let gradients = ccuda_attention_gradients(
            y: UInt64(address(call.y)), dy: UInt64(address(call.dy)), log_sum_exp: UInt64(address(call.logSumExp)),
            along: UInt64(address(along)), d_query: UInt64(address(call.dQuery)), d_key: UInt64(address(call.dKey)),
            d_value: UInt64(address(call.dValue)), d_query_stride: Int32(call.dQuery.tensor.columns),
            d_key_stride: Int32(call.dKey.tensor.columns), d_value_stride: Int32(call.dValue.tensor.columns))
        defer { withExtendedLifetime(along) {} }  // whatever is asked for before the launches
        let padded = path(x, [call.dQuery, call.dKey, call.dValue])
        if let padded, padded < 128 {
            let rows = 32 * max(tiles(x.querySegments, 32), tiles(x.keySegments, 32))
            let whole = 8 * rows * (padded + 8) + 8 * rows
            if whole <= mostShared {
                return launch(
                    "attention", "attention_gradient_whole_\(padded)",
                    grid: (x.heads * x.querySegments.count, 1, 1),
                    threads: threads(
                        max(tiles(x.querySegments, 16), tiles(x.keySegments, 16)), most: padded <= 64 ? 384 : 256),
                    shared: whole, operands(x, tiles: rows), gradients)
            }
        }
        for (side, segments) in [("query", x.querySegments), ("key", x.keySegments)] {
            let tiles = tiles(segments, padded == nil ? 4 : 64)
            let name = padded.map { "attention_\(side)_gradient_\($0)" }
            launch(
                "attention", name ?? "attention_\(side)_gradient_plain_\(suffix(call.y))",
                grid: (tiles * x.heads * segments.count, 1, 1), threads: 128,
                shared: padded.map { 512 * ($0 + 8) + 512 } ?? 32 * x.headWidth, operands(x, tiles: tiles), gradients)
        }
    }
}
