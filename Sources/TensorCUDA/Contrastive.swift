import CCUDA
import TensorCore

extension CUDADevice {
    /// The largest tile of cosines.
    private static let tile = (rows: 4096, columns: 8192)

    private func ranges(_ count: Int, of size: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: size).map { $0..<min(count, $0 + size) }
    }

    /// Tile by tile: cosines, then (softmax) the log-sums of rows and columns; cosines again, their slopes in place, and
    /// the two products of these. No [B,B] matrix.
    func contrastive(_ call: Kernel.Contrastive) {
        let (pairs, isSoftmax) = (call.images.rows, call.kind == .softmax)
        let (rows, columns) = (ranges(pairs, of: Self.tile.rows), ranges(pairs, of: Self.tile.columns))
        let cosines = scratch((rows.first?.count ?? 0) * (columns.first?.count ?? 0))
        let (rowSums, columnSums, own) = (scratch(pairs), scratch(pairs), scratch(pairs))
        if isSoftmax {
            let (rowLogs, columnLogs) = (scratch(2 * pairs), scratch(2 * pairs))
            for row in rows {
                for column in columns {
                    let tile = product(call.images.slice(row), call.texts.slice(column), in: cosines)
                    addRowLogSums(tile, call.logScale, (row, column), to: rowLogs, own)
                    addColumnLogSums(tile, call.logScale, (row, column), to: columnLogs)
                }
            }
            finish(rowLogs, into: rowSums)
            finish(columnLogs, into: columnSums)
        }
        let parts = scratch(3 * pairs, .float64)
        let share = 1 / Float(isSoftmax ? 2 * pairs : pairs)
        for row in rows {
            for column in columns {
                let (images, texts) = (call.images.slice(row), call.texts.slice(column))
                let tile = product(images, texts, in: cosines)
                slopes(
                    tile, call.logScale, call.logitBias, (row, column), share,
                    isSoftmax
                        ? (rowSums.slice(row), own.slice(row), columnSums.slice(column), own.slice(column)) : nil,
                    parts.slice(3 * row.lowerBound..<3 * row.upperBound))
                let (dImages, dTexts) = (call.dImages.slice(row), call.dTexts.slice(column))
                multiply(
                    Factor(tile), Factor(texts), residual: column.lowerBound == 0 ? nil : dImages, into: dImages)
                multiply(
                    Factor(tile, transposed: true), Factor(images), residual: row.lowerBound == 0 ? nil : dTexts,
                    into: dTexts)
            }
        }
        launch(
            "contrastive", "sum_contrastive_parts", grid: (1, 1, 1), threads: 256, shared: 64, address(call.loss),
            address(call.dLogScale), address(call.dBias), address(parts), Int32(pairs),
            1 / Float(pairs) / (isSoftmax ? 2 : 1))
    }

    func logSums(_ call: Kernel.LogSums) {
        let logs = scratch(2 * call.mine.rows)
        eachSliceTile(call.mine, call.all, call.slice) { tile, row, column in
            let place = (row.lowerBound + call.offset..<row.upperBound + call.offset, column)
            addRowLogSums(
                tile, call.logScale, place, to: logs.slice(2 * row.lowerBound..<2 * row.upperBound),
                call.own.slice(row), isLocal: true)
        }
        finish(logs, into: call.sums)
    }

    func contrastiveStrip(_ call: Kernel.ContrastiveStrip) {
        let share = 1 / Float(call.all.rows * (call.softmax == nil ? 1 : 2))
        let parts = call.parts.reshaped([call.parts.count])
        eachSliceTile(call.mine, call.all, call.slice) { tile, row, column in
            slopes(
                tile, call.logScale, call.logitBias,
                (row.lowerBound + call.offset..<row.upperBound + call.offset, column), share,
                call.softmax.map { ($0.sums.slice(row), $0.own.slice(row), $0.others.slice(column), nil) },
                parts.slice(3 * row.lowerBound..<3 * row.upperBound))
            let gradient = call.gradient.slice(row)
            multiply(
                Factor(tile), Factor(call.all.slice(column)), residual: column.lowerBound == 0 ? nil : gradient,
                into: gradient)
        }
    }

    /// Tiles never cross a slice, so that no result knows how many ranks there are.
    private func eachSliceTile(
        _ mine: Tensor, _ all: Tensor, _ slice: Int, _ body: (Tensor, Range<Int>, Range<Int>) -> Void
    ) {
        let columns = ranges(all.rows, of: Self.tile.columns)
        let rows = ranges(mine.rows, of: slice).flatMap { slice in
            ranges(slice.count, of: Self.tile.rows).map {
                $0.lowerBound + slice.lowerBound..<$0.upperBound + slice.lowerBound
            }
        }
        let cosines = scratch((rows.map(\.count).max() ?? 0) * (columns.first?.count ?? 0))
        for row in rows {
            for column in columns { body(product(mine.slice(row), all.slice(column), in: cosines), row, column) }
        }
    }

    /// [rows, columns] of cosines.
    private func product(_ a: Tensor, _ b: Tensor, in memory: Tensor) -> Tensor {
        let tile = memory.slice(0..<a.rows * b.rows).reshaped([a.rows, b.rows])
        multiply(Factor(a), Factor(b, transposed: true), into: tile)
        return tile
    }

    /// - Parameter isLocal: `logs` and `own` begin at the tile's first row
    private func addRowLogSums(
        _ tile: Tensor, _ logScale: Tensor, _ place: (row: Range<Int>, column: Range<Int>), to logs: Tensor,
        _ own: Tensor, isLocal: Bool = false
    ) {
        let (logs, own) =
            isLocal
            ? (logs, own)
            : (logs.slice(2 * place.row.lowerBound..<2 * place.row.upperBound), own.slice(place.row))
        launch(
            "contrastive", "row_log_sums", grid: (tile.rows, 1, 1), threads: 256, shared: 64, address(logs),
            address(own), address(tile), address(logScale, .float32), Int32(tile.columns),
            Int32(place.row.lowerBound), Int32(place.column.lowerBound), Int32(place.column.lowerBound == 0 ? 1 : 0))
    }

    private func addColumnLogSums(
        _ tile: Tensor, _ logScale: Tensor, _ place: (row: Range<Int>, column: Range<Int>), to logs: Tensor
    ) {
        let (count, across) = ((tile.rows + 63) / 64, (tile.columns + 127) / 128)
        let parts = scratch(2 * count * tile.columns)
        launch(
            "contrastive", "column_log_sum_parts", grid: (across, count, 1), threads: 128, address(parts),
            address(tile), address(logScale), Int32(tile.rows), Int32(tile.columns))
        launch(
            "contrastive", "merge_log_sums", grid: (across, 1, 1), threads: 128,
            address(logs.slice(2 * place.column.lowerBound..<2 * place.column.upperBound)), address(parts),
            Int32(count), Int32(tile.columns), Int32(place.row.lowerBound == 0 ? 1 : 0))
    }

    private func finish(_ logs: Tensor, into sums: Tensor) {
        launch(
            "contrastive", "finish_log_sums", grid: blocks(sums.count, of: 128), threads: 128, address(sums),
            address(logs), Int32(sums.count))
    }

    private func slopes(
        _ tile: Tensor, _ logScale: Tensor, _ bias: Tensor?, _ place: (row: Range<Int>, column: Range<Int>),
        _ share: Float, _ softmax: (rows: Tensor, ownOfRow: Tensor, columns: Tensor, own: Tensor?)?, _ parts: Tensor
    ) {
        let call = ccuda_slopes(
            row_sums: UInt64(address(softmax?.rows)), own_of_row: UInt64(address(softmax?.ownOfRow)),
            column_sums: UInt64(address(softmax?.columns)), own: UInt64(address(softmax?.own)),
            log_scale: UInt64(address(logScale, .float32)), bias: UInt64(address(bias)), share: share,
            columns: Int32(tile.columns), row_first: Int32(place.row.lowerBound),
            column_first: Int32(place.column.lowerBound), first: place.column.lowerBound == 0 ? 1 : 0)
        launch(
            "contrastive", "contrastive_slopes", grid: (tile.rows, 1, 1), threads: 256, shared: 64, address(tile),
            address(parts, .float64), call)
    }
}
