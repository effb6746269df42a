package import Objectives
package import Processes
import Support
package import TensorCore

/// A contrastive loss over the features of all ranks. Each gathers all features and computes the gradients of its own rows:
/// no gradient of a feature travels, and no bit depends on the number of ranks.
package struct GatheredLoss {
    package struct Result {
        /// Nats per image.
        package let loss: Double
        package let dImages: Tensor  // [b,E]
        package let dTexts: Tensor  // [b,E]
        package let dLogScale: Double
        package let dBias: Double
    }

    private let objective: Objective
    private let group: any ProcessGroup
    private let slice: Int

    /// - Parameter slice: pairs of a slice; each rank holds as many whole ones as the others
    package init(_ objective: Objective, _ group: any ProcessGroup, slice: Int) {
        (self.objective, self.group, self.slice) = (objective, group, slice)
    }

    /// Sends this rank's rows [b,E] on their way.
    ///
    /// - Returns: waits for all, [B,E]
    package func gather(_ rows: Tensor, _ what: String) -> () throws -> Tensor {
        guard group.size > 1 else { return { rows } }
        let mine = rows.hostBytes
        let shape = [rows.shape[0] * group.size] + rows.shape.dropFirst()
        guard rows.device.isHostMemory else {
            let all = HostBytes(count: mine.count * group.size)
            let transfer = group.allGather(mine, into: all, what)
            return { [device = rows.device, element = rows.element, mine] in
                try transfer.wait()
                _ = mine.count
                let result = device.empty(shape, element)
                device.upload(all.bytes, into: result)
                return result
            }
        }
        let all = rows.device.empty(shape, rows.element)
        let transfer = group.allGather(mine, into: all.hostBytes, what)
        return { [mine] in
            try transfer.wait()
            _ = mine.count
            return all
        }
    }

    /// - Parameters:
    ///   - images: [b,E], unit rows of this rank
    ///   - texts: [b,E], with all of them [B,E]
    package func callAsFunction(
        images: (mine: Tensor, all: Tensor), texts: (mine: Tensor, all: Tensor), logScale: Tensor, logitBias: Tensor?
    ) throws -> Result {
        let offset = group.rank * images.mine.rows
        let sides = [(images.mine, texts.all), (texts.mine, images.all)]
        var softmax: [(sums: Tensor, own: Tensor, others: Tensor)?] = [nil, nil]
        if objective == .softmax {
            let sums = sides.map {
                contrastiveLogSums(mine: $0.0, all: $0.1, logScale: logScale, offset: offset, slice: slice)
            }
            let waits = sums.map { gather($0.sums, "log sums") }
            let all = try waits.map { try $0() }
            softmax = [(sums[0].sums, sums[0].own, all[1]), (sums[1].sums, sums[1].own, all[0])]
        }
        let strips = zip(sides, softmax).map { side, softmax in
            contrastiveStrip(
                mine: side.0, all: side.1, scalars: (logScale, logitBias), offset: offset, slice: slice,
                softmax: softmax)
        }
        // Softmax: each side has half of the sums. Sigmoid: both have them whole.
        let halves = objective == .softmax ? strips : [strips[0]]
        let totals = try sum(halves.map(\.parts), rows: images.all.rows)
        let share = 1 / Double(images.all.rows * (objective == .softmax ? 2 : 1))
        return Result(
            loss: totals[0] * share, dImages: strips[0].gradient, dTexts: strips[1].gradient,
            dLogScale: totals[1] * share, dBias: totals[2] * share)
    }

    /// All rows' parts, added in the order of rows.
    private func sum(_ parts: [Tensor], rows: Int) throws -> [Double] {
        var totals = [0.0, 0.0, 0.0]
        for part in parts {
            let all = try gather(part, "the parts of the loss")()
            all.device.withValues(of: all) { bytes in
                let values = bytes.bindMemory(to: Double.self)
                for row in 0..<rows { for k in 0..<3 { totals[k] += values[3 * row + k] } }
            }
        }
        return totals
    }
}

extension Tensor {
    /// The values in the host's form: the tensor's own memory where that is the host's, else a copy. Waits.
    var hostBytes: HostBytes {
        if device.isHostMemory {
            return HostBytes(
                viewing: storage.address + offset * element.bytes, count: count * element.bytes, of: storage)
        }
        let bytes = HostBytes(count: count * element.bytes)
        device.withValues(of: self) { bytes.part(0..<bytes.count).copyMemory(from: $0) }
        return bytes
    }
}
