import Support
import CKernels
import Foundation
import TensorCore

/// Blocks of 512 x 512 logits, one at a time per thread. Bands of image rows follow each other; within
/// a band every thread owns groups of column blocks, so a text's gradient is summed by one thread in the
/// order of the bands, and an image's from one partial per group, added up in their order.
extension CPUDevice {
    func contrastive(_ call: Kernel.Contrastive) {
        let plan = ContrastivePlan(call, device: self)
        fill(call.dTexts, 0)
        switch call.kind {
        case .softmax: softmax(plan, call)
        case .sigmoid: sigmoid(plan, call)
        }
    }

    private func softmax(_ plan: ContrastivePlan, _ results: Kernel.Contrastive) {
        let b = plan.count
        let kept = empty([3, b])
        let (rows, columns, own) = (floats(kept), floats(kept) + b, floats(kept) + 2 * b)
        plan.logSums(rows: rows, columns: columns, own: own)
        let slopes = plan.eachBlock(results) { band, chunk, cosines in
            let (i, j) = (band.lowerBound, chunk.lowerBound)
            return [
                ck_softmax_slopes(
                    band.count, chunk.count, cosines, plan.scale, rows + i, columns + j, own + i, own + j, i - j)
            ]
        }
        var loss = 0.0
        for i in 0..<b { loss += Double(rows[i]) + Double(columns[i]) - 2 * Double(own[i]) }
        let half = 1 / (2 * Double(b))
        plan.finish(
            results, factor: half, loss: loss * half, dLogScale: plan.exactSoftmaxSlope() ?? slopes[0] * half, dBias: 0)
    }

    private func sigmoid(_ plan: ContrastivePlan, _ results: Kernel.Contrastive) {
        let sums = plan.eachBlock(results) { band, chunk, cosines in
            var sums = [0.0, 0.0, 0.0]
            ck_sigmoid_slopes(
                band.count, chunk.count, cosines, plan.scale, plan.bias, band.lowerBound - chunk.lowerBound, &sums)
            return sums
        }
        let share = 1 / Double(plan.count)
        let exact = plan.exactSigmoidSlopes() ?? (sums[1] * share, sums[2] * share)
        plan.finish(results, factor: share, loss: sums[0] * share, dLogScale: exact.scale, dBias: exact.bias)
    }
}

private struct ContrastivePlan {
    let device: CPUDevice
    let x: UnsafeMutablePointer<Float>
    let y: UnsafeMutablePointer<Float>
    let count: Int
    let width: Int
    let logScale: Double
    let scale: Float
    let bias: Float
    static let block = 512

    init(_ inputs: Kernel.Contrastive, device: CPUDevice) {
        self.device = device
        x = device.floats(inputs.images)
        y = device.floats(inputs.texts)
        count = inputs.images.shape[0]
        width = inputs.images.shape[1]
        logScale = Double(device.floats(inputs.logScale)[0])
        scale = Float(exp(logScale))
        bias = inputs.logitBias.map { device.floats($0)[0] } ?? 0
    }

    private var parts: [Range<Int>] {
        stride(from: 0, to: count, by: Self.block).map { $0..<min(count, $0 + Self.block) }
    }

    /// cosines [band, chunk] = images texts^T
    private func product(_ band: Range<Int>, _ chunk: Range<Int>, into cosines: UnsafeMutablePointer<Float>) {
        device.multiply(
            band.count, chunk.count, width, MatrixView(x + band.lowerBound * width, width),
            MatrixView(y + chunk.lowerBound * width, width, transposed: true), into: cosines, chunk.count)
    }

    /// The log-sum-exp of every row and every column of the logits, and the logit of each image's own text.
    func logSums(
        rows: UnsafeMutablePointer<Float>, columns: UnsafeMutablePointer<Float>, own: UnsafeMutablePointer<Float>
    ) {
        let parts = parts
        // Largest and sum of every block's rows and columns: [block, its rows or columns]
        let size = parts.count * count
        let scratch = device.empty([4, size])
        let rowMax = device.floats(scratch)
        let (rowSum, columnMax, columnSum) = (rowMax + size, rowMax + 2 * size, rowMax + 3 * size)
        device.threads.each(parts.count * parts.count) { index in
            let (i, j) = (index / parts.count, index % parts.count)
            let cosines = device.empty([parts[i].count, parts[j].count])
            product(parts[i], parts[j], into: device.floats(cosines))
            if i == j {
                for r in 0..<parts[i].count {
                    own[parts[i].lowerBound + r] = device.floats(cosines)[r * parts[j].count + r] * scale
                }
            }
            let (atRow, atColumn) = (j * count + parts[i].lowerBound, i * count + parts[j].lowerBound)
            ck_block_log_sum(
                parts[i].count, parts[j].count, device.floats(cosines), scale, rowMax + atRow, rowSum + atRow,
                columnMax + atColumn, columnSum + atColumn)
        }
        for i in 0..<count {
            for (most, sum, out) in [(rowMax, rowSum, rows), (columnMax, columnSum, columns)] {
                var (top, total) = (-Float.infinity, 0.0)
                for part in 0..<parts.count { top = max(top, most[part * count + i]) }
                for part in 0..<parts.count {
                    total += Double(sum[part * count + i]) * exp(Double(most[part * count + i]) - Double(top))
                }
                out[i] = top + Float(log(total))
            }
        }
    }

    /// Turns every block of cosines into slopes and adds their products to the gradients, not yet
    /// scaled. Returns the sums of what `slopes` returns.
    func eachBlock(
        _ results: Kernel.Contrastive, _ slopes: (Range<Int>, Range<Int>, UnsafeMutablePointer<Float>) -> [Double]
    ) -> [Double] {
        let parts = parts
        // Groups enough for many threads, few enough that their partials need little memory.
        let groups = min(parts.count, 32)
        let stride = min(count, Self.block) * width
        let (dx, dy) = (device.floats(results.dImages), device.floats(results.dTexts))
        let partial = device.empty([groups, stride])
        let partials = device.floats(partial)
        var totals = [0.0, 0.0, 0.0]
        for band in parts {
            let sums = UnsafeMutablePointer<Double>.allocate(capacity: parts.count * 3)
            sums.initialize(repeating: 0, count: parts.count * 3)
            defer { sums.deallocate() }
            device.threads.each(groups) { group in
                let members = group * parts.count / groups..<(group + 1) * parts.count / groups
                for j in members {
                    let chunk = parts[j]
                    let block = device.empty([band.count, chunk.count])
                    let cosines = device.floats(block)
                    product(band, chunk, into: cosines)
                    for (k, sum) in slopes(band, chunk, cosines).enumerated() { sums[j * 3 + k] = sum }
                    device.multiply(
                        band.count, width, chunk.count, MatrixView(cosines, chunk.count),
                        MatrixView(y + chunk.lowerBound * width, width), into: partials + group * stride, width,
                        adding: j > members.lowerBound)
                    device.multiply(
                        chunk.count, width, band.count, MatrixView(cosines, chunk.count, transposed: true),
                        MatrixView(x + band.lowerBound * width, width), into: dy + chunk.lowerBound * width, width,
                        adding: true)
                }
            }
            let out = dx + band.lowerBound * width
            device.threads.each(band.count * width, by: CPUDevice.pointwiseTile) { range in
                memcpy(out + range.lowerBound, partials + range.lowerBound, range.count * 4)
                for group in 1..<groups {
                    ck_accumulate(range.count, 1, partials + group * stride + range.lowerBound, out + range.lowerBound)
                }
            }
            for j in 0..<parts.count { for k in 0..<3 { totals[k] += sums[j * 3 + k] } }
        }
        return totals
    }

    /// d loss / d log scale in double, for what fits one block: terms of its sum cancel to a thousandth of
    /// their size and less, which float32 logits survive with five digits only.
    func exactSoftmaxSlope() -> Double? {
        guard let logits = exactLogits() else { return nil }
        let n = count
        func logSum(_ first: Int, _ step: Int) -> Double {
            let top = (0..<n).reduce(-Double.infinity) { max($0, logits[first + $1 * step]) }
            return top + log((0..<n).reduce(0) { $0 + exp(logits[first + $1 * step] - top) })
        }
        let columns = (0..<n).map { logSum($0, n) }
        let slopes = rowSums { i in
            let (row, own) = (logSum(i * n, 1), logits[i * n + i])
            return (0..<n).reduce(0) { sum, j in
                let logit = logits[i * n + j]
                return sum + exp(logit - row) * (logit - own)
                    + exp(logit - columns[j]) * (logit - logits[j * n + j])
            }
        }
        return slopes.reduce(0, +) / Double(2 * n)
    }

    /// The same for the sigmoid loss, with d loss / d bias.
    func exactSigmoidSlopes() -> (scale: Double, bias: Double)? {
        guard let logits = exactLogits() else { return nil }
        let n = count
        func slope(_ i: Int, _ j: Int) -> Double {
            i == j
                ? -1 / (1 + exp(logits[i * n + j] + Double(bias))) : 1 / (1 + exp(-logits[i * n + j] - Double(bias)))
        }
        let scales = rowSums { i in (0..<n).reduce(0) { $0 + slope(i, $1) * logits[i * n + $1] } }
        let biases = rowSums { i in (0..<n).reduce(0) { $0 + slope(i, $1) } }
        return (scales.reduce(0, +) / Double(n), biases.reduce(0, +) / Double(n))
    }

    /// scale * images texts^T [B,B] in double
    private func exactLogits() -> [Double]? {
        guard count <= Self.block else { return nil }
        return [Double](unsafeUninitializedCapacity: count * count) { buffer, used in
            let start = buffer.start
            device.threads.each(count) { i in
                let row = start + i * count
                ck_dots(count, width, x + i * width, y, row)
                for j in 0..<count { row[j] *= exp(logScale) }
            }
            used = count * count
        }
    }

    private func rowSums(_ sum: (Int) -> Double) -> [Double] {
        [Double](unsafeUninitializedCapacity: count) { buffer, used in
            let start = buffer.start
            device.threads.each(count) { start[$0] = sum($0) }
            used = count
        }
    }

    func finish(_ results: Kernel.Contrastive, factor: Double, loss: Double, dLogScale: Double, dBias: Double) {
        for gradient in [results.dImages, results.dTexts] {
            device.scale(gradient, by: Float(factor * Double(scale)), into: gradient)
        }
        device.floats(results.loss)[0] = Float(loss)
        device.floats(results.dLogScale)[0] = Float(dLogScale)
        device.floats(results.dBias)[0] = Float(dBias)
    }
}
