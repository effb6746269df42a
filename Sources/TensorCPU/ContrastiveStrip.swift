import CKernels
import Foundation
import TensorCore

/// Tiles of up to 512 x 512 logits: rows never cross a slice, columns lie on one grid over all B. A row's sums over the
/// columns are taken in groups of tiles, then group by group, whichever rank, thread or band has it.
extension CPUDevice {
    func logSums(_ call: Kernel.LogSums) {
        let plan = StripPlan(call.mine, call.all, call.logScale, call.offset, call.slice, self)
        let scratch = empty([2, plan.columns.count, plan.rowCount])
        let most = floats(scratch)
        let sum = most + plan.columns.count * plan.rowCount
        let own = floats(call.own)
        threads.each(plan.rows.count * plan.columns.count) { index in
            let (i, j) = (index / plan.columns.count, index % plan.columns.count)
            let (rows, columns) = (plan.rows[i], plan.columns[j])
            let tile = empty([rows.count, columns.count])
            let cosines = floats(tile)
            plan.product(rows, columns, into: cosines)
            for r in rows {
                let match = plan.offset + r - columns.lowerBound
                guard (0..<columns.count).contains(match) else { continue }
                own[r] = cosines[(r - rows.lowerBound) * columns.count + match] * plan.scale
            }
            let at = j * plan.rowCount + rows.lowerBound
            ck_row_log_sum(rows.count, columns.count, cosines, plan.scale, most + at, sum + at)
        }
        let out = floats(call.sums)
        for i in 0..<plan.rowCount {
            let entries = plan.columns.indices.map { $0 * plan.rowCount + i }
            let top = entries.reduce(-Float.infinity) { max($0, most[$1]) }
            let total = entries.reduce(0.0) { $0 + Double(sum[$1]) * exp(Double(most[$1]) - Double(top)) }
            out[i] = top + Float(log(total))
        }
    }

    func contrastiveStrip(_ call: Kernel.ContrastiveStrip) {
        let plan = StripPlan(call.mine, call.all, call.logScale, call.offset, call.slice, self)
        let bias = call.logitBias.map { floats($0)[0] } ?? 0
        let parts = doubles(call.parts)
        let given = call.softmax.map { (sums: floats($0.sums), own: floats($0.own), others: floats($0.others)) }
        plan.eachRow(into: floats(call.gradient), parts: parts) { rows, columns, cosines, sums in
            let diagonal = plan.offset + rows.lowerBound - columns.lowerBound
            guard let given else {
                for r in 0..<rows.count {
                    ck_sigmoid_slopes(
                        1, columns.count, cosines + r * columns.count, plan.scale, bias, diagonal + r, sums + 3 * r)
                }
                return
            }
            var along = [Double](repeating: 0, count: rows.count)
            ck_strip_softmax(
                rows.count, columns.count, cosines, plan.scale, given.sums + rows.lowerBound,
                given.own + rows.lowerBound, given.others + columns.lowerBound, diagonal, &along)
            for r in 0..<rows.count { sums[3 * r + 1] += along[r] }
        }
        let share = 1 / Double(plan.columnCount * (given == nil ? 1 : 2))
        scale(call.gradient, by: Float(share * Double(plan.scale)), into: call.gradient)
        if let given {
            for i in 0..<plan.rowCount { parts[3 * i] = Double(given.sums[i]) - Double(given.own[i]) }
        }
        // Terms that cancel to a thousandth of their size survive in float32 logits with five digits only.
        guard plan.columnCount <= StripPlan.block else { return }
        threads.each(plan.rowCount) { i in
            let exact = given == nil ? plan.exactSigmoid(i, Double(bias)) : plan.exactSoftmax(i)
            for k in 0..<3 { parts[3 * i + k] = exact[k] }
        }
    }
}

private struct StripPlan {
    static let block = 512
    let device: CPUDevice
    let x: UnsafeMutablePointer<Float>
    let y: UnsafeMutablePointer<Float>
    let width: Int
    let rowCount: Int
    let columnCount: Int
    let logScale: Double
    let scale: Float
    let offset: Int
    let rows: [Range<Int>]
    let columns: [Range<Int>]

    init(_ mine: Tensor, _ all: Tensor, _ logScale: Tensor, _ offset: Int, _ slice: Int, _ device: CPUDevice) {
        (self.device, self.offset) = (device, offset)
        (x, y) = (device.floats(mine), device.floats(all))
        (rowCount, columnCount, width) = (mine.rows, all.rows, mine.columns)
        self.logScale = Double(device.floats(logScale)[0])
        scale = Float(exp(self.logScale))
        let (count, side) = (all.rows, Self.block)
        columns = stride(from: 0, to: count, by: side).map { $0..<min(count, $0 + side) }
        rows = stride(from: 0, to: mine.rows, by: slice).flatMap { start in
            stride(from: start, to: start + slice, by: side).map { $0..<min(start + slice, $0 + side) }
        }
    }

    /// cosines [rows, columns] = mine all^T
    func product(_ rows: Range<Int>, _ columns: Range<Int>, into cosines: UnsafeMutablePointer<Float>) {
        device.multiply(
            rows.count, columns.count, width, MatrixView(x + rows.lowerBound * width, width),
            MatrixView(y + columns.lowerBound * width, width, transposed: true), into: cosines, columns.count)
    }

    /// Turns every tile of cosines into slopes, and adds their products with the other side to the gradient.
    ///
    /// - Parameter slopes: fills a tile and adds to its rows' three sums
    func eachRow(
        into gradient: UnsafeMutablePointer<Float>, parts: UnsafeMutablePointer<Double>,
        _ slopes: (Range<Int>, Range<Int>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Double>) -> Void
    ) {
        let groups = min(columns.count, 32)
        // As many rows at a time as keep all threads busy: memory grows with a band, not with the batch.
        let band = max(1, 64 / groups)
        let side = rows.map(\.count).max() ?? 0
        let scratch = device.empty([band * groups, side * width])
        let sums = device.empty([band * groups, side * 3], .float64)
        let (partials, partialSums) = (device.floats(scratch), device.doubles(sums))
        for first in stride(from: 0, to: rows.count, by: band) {
            let tiles = rows[first..<min(rows.count, first + band)]
            device.threads.each(tiles.count * groups) { index in
                let (tile, group) = (rows[first + index / groups], index % groups)
                let members = group * columns.count / groups..<(group + 1) * columns.count / groups
                let ours = partialSums + index * side * 3
                ours.update(repeating: 0, count: tile.count * 3)
                for j in members {
                    let block = device.empty([tile.count, columns[j].count])
                    let cosines = device.floats(block)
                    product(tile, columns[j], into: cosines)
                    slopes(tile, columns[j], cosines, ours)
                    device.multiply(
                        tile.count, width, columns[j].count, MatrixView(cosines, columns[j].count),
                        MatrixView(y + columns[j].lowerBound * width, width), into: partials + index * side * width,
                        width, adding: j > members.lowerBound)
                }
            }
            device.threads.each(tiles.count) { index in
                let tile = rows[first + index]
                let (out, outSums) = (gradient + tile.lowerBound * width, parts + tile.lowerBound * 3)
                for group in 0..<groups {
                    let from = partials + (index * groups + group) * side * width
                    let fromSums = partialSums + (index * groups + group) * side * 3
                    guard group > 0 else {
                        out.update(from: from, count: tile.count * width)
                        outSums.update(from: fromSums, count: tile.count * 3)
                        continue
                    }
                    ck_accumulate(tile.count * width, 1, from, out)
                    for k in 0..<tile.count * 3 { outSums[k] += fromSums[k] }
                }
            }
        }
    }

    /// A row's logits without the bias, in double.
    private func exactLogits(_ row: Int) -> [Double] {
        [Double](unsafeUninitializedCapacity: columnCount) { buffer, used in
            ck_dots(columnCount, width, x + row * width, y, buffer.baseAddress)
            for j in 0..<columnCount { buffer[j] *= exp(logScale) }
            used = columnCount
        }
    }

    func exactSoftmax(_ row: Int) -> [Double] {
        let logits = exactLogits(row)
        let (own, top) = (logits[offset + row], logits.max() ?? 0)
        let sum = top + log(logits.reduce(0) { $0 + exp($1 - top) })
        return [sum - own, logits.reduce(0) { $0 + exp($1 - sum) * ($1 - own) }, 0]
    }

    func exactSigmoid(_ row: Int, _ bias: Double) -> [Double] {
        var parts = [0.0, 0.0, 0.0]
        for (j, value) in exactLogits(row).enumerated() {
            let logit = value + bias
            let slope = j == offset + row ? -1 / (1 + exp(logit)) : 1 / (1 + exp(-logit))
            parts[0] += max(j == offset + row ? -logit : logit, 0) + log1p(exp(-abs(logit)))
            parts[1] += slope * value
            parts[2] += slope
        }
        return parts
    }
}
