import Layers
import Optimizers
import Processes
import Support
import TensorCore

/// AdamW shared out among the ranks (ZeRO-1: Rajbhandari et al. 2019, arXiv:1910.02054): each updates what it owns and holds
/// the moments of that alone; then the values travel to all.
struct ShardedOptimizer: Sendable {
    let layout: FlatLayout
    let group: any ProcessGroup
    /// The learned float32 values, any shapes, in the layout's order.
    private let values: [Tensor]
    private let decays: [Bool]
    /// By bucket, of the part that this rank owns.
    private var moments: [AdamW.Moments]

    /// - Parameter known: moments of whole parameters; zeros where there are none
    init(_ layout: FlatLayout, _ group: any ProcessGroup, _ values: [Tensor], from known: [String: AdamW.Moments]) {
        (self.layout, self.group, self.values) = (layout, group, values.map { $0.detached })
        decays = zip(layout.entries, values).map { AdamW.decays($0.name, dimensions: $1.shape.count) }
        let device = values[0].device
        moments = layout.buckets.indices.map { bucket in
            let owned = layout.ownedRange(bucket, by: group.rank, of: group.size)
            let part = AdamW.Moments(mean: device.zeros([owned.count]), square: device.zeros([owned.count]))
            for cell in layout.cells[layout.owned(bucket, by: group.rank, of: group.size)] {
                guard let whole = known[layout.entries[cell.entry].name] else { continue }
                let place = cell.range.lowerBound - owned.lowerBound..<cell.range.upperBound - owned.lowerBound
                for (target, source) in [(part.mean, whole.mean), (part.square, whole.square)] {
                    target.slice(place).fill(from: source.reshaped([source.count]).slice(layout.inEntry(cell)))
                }
            }
            return part
        }
    }

    private func owned(_ bucket: Int) -> Range<Int> { layout.owned(bucket, by: group.rank, of: group.size) }

    /// The sum of squares of every cell, in double, of all ranks.
    func squares(_ gradient: Tensor) throws -> [Double] {
        let mine = layout.buckets.indices.flatMap { Array(owned($0)) }
        var squares = [Double](repeating: 0, count: layout.cells.count)
        if !mine.isEmpty {
            let sums = sumsOfSquares(mine.map { gradient.slice(layout.cells[$0].range) }, on: gradient.device)
            gradient.device.withValues(of: sums) { bytes in
                for (cell, square) in zip(mine, bytes.bindMemory(to: Double.self)) { squares[cell] = square }
            }
        }
        guard group.size > 1 else { return squares }
        let all = try group.gathered(squares, "norms")
        for bucket in layout.buckets.indices {
            for rank in 0..<group.size {
                for cell in layout.owned(bucket, by: rank, of: group.size) { squares[cell] = all[rank][cell] }
            }
        }
        return squares
    }

    /// One step on what this rank owns, and the values of all ranks afterwards; nothing changes where loss or norm is not
    /// finite.
    ///
    /// - Parameter gradient: [layout.count]
    func update(_ gradient: Tensor, squares: [Double], loss: Double, _ hyper: AdamWStep) throws {
        let device = gradient.device
        var updates: [AdamWUpdate] = []
        for bucket in layout.buckets.indices {
            let start = layout.ownedRange(bucket, by: group.rank, of: group.size).lowerBound
            for cell in layout.cells[owned(bucket)] {
                let place = cell.range.lowerBound - start..<cell.range.upperBound - start
                let value = values[cell.entry]
                updates.append(
                    AdamWUpdate(
                        parameter: value.reshaped([value.count]).slice(layout.inEntry(cell)),
                        gradient: gradient.slice(cell.range), mean: moments[bucket].mean.slice(place),
                        square: moments[bucket].square.slice(place), decays: decays[cell.entry]))
            }
        }
        let sums = device.empty([squares.count], .float64)
        squares.withUnsafeBytes { device.upload($0, into: sums) }
        _ = adamW(updates, squares: sums, loss: device.tensor([Float(loss)], shape: []), hyper)
        try share()
    }

    /// Every rank's own values to all.
    private func share() throws {
        guard group.size > 1 else { return }
        let others = (1..<group.size).map { (group.rank + $0) % group.size }
        let transfers = layout.buckets.indices.map { bucket in
            let range = layout.range(of: bucket)
            let bytes = HostBytes(count: range.count * 4)
            for index in owned(bucket) {
                let cell = layout.cells[index]
                part(of: cell).device.withValues(of: part(of: cell)) {
                    bytes.part(place(cell.range, in: range)).copyMemory(from: $0)
                }
            }
            func share(_ rank: Int) -> Range<Int> {
                place(layout.ownedRange(bucket, by: rank, of: group.size), in: range)
            }
            let mine = share(group.rank)
            let transfer = group.exchange(
                mine.isEmpty ? [] : others.map { Message($0, bytes, mine) },
                others.filter { !share($0).isEmpty }.map { Message($0, bytes, share($0)) }, "weights, bucket \(bucket)")
            return (bytes, transfer)
        }
        for (bucket, (bytes, transfer)) in transfers.enumerated() {
            try transfer.wait()
            let (range, ours) = (layout.range(of: bucket), owned(bucket))
            for index in layout.buckets[bucket] where !ours.contains(index) {
                let cell = layout.cells[index]
                let values = UnsafeRawBufferPointer(rebasing: bytes.bytes[place(cell.range, in: range)])
                part(of: cell).device.upload(values, into: part(of: cell))
            }
        }
    }

    private func part(of cell: FlatLayout.Cell) -> Tensor {
        let value = values[cell.entry]
        return value.reshaped([value.count]).slice(layout.inEntry(cell))
    }

    private func place(_ range: Range<Int>, in whole: Range<Int>) -> Range<Int> {
        (range.lowerBound - whole.lowerBound) * 4..<(range.upperBound - whole.lowerBound) * 4
    }

    /// The moments of whole parameters, at rank 0 alone; others get none.
    func gathered() throws -> [String: AdamW.Moments] {
        let device = values[0].device
        var whole: [AdamW.Moments] = []
        if group.isRoot {
            whole = values.map { AdamW.Moments(mean: device.empty($0.shape), square: device.empty($0.shape)) }
        }
        for bucket in layout.buckets.indices {
            for (isMean, own) in [(true, moments[bucket].mean), (false, moments[bucket].square)] {
                let range = layout.range(of: bucket)
                let bytes = HostBytes(count: range.count * 4)
                func share(_ rank: Int) -> Range<Int> {
                    place(layout.ownedRange(bucket, by: rank, of: group.size), in: range)
                }
                own.device.withValues(of: own) { bytes.part(share(group.rank)).copyMemory(from: $0) }
                try group.exchange(
                    group.isRoot || share(group.rank).isEmpty ? [] : [Message(0, bytes, share(group.rank))],
                    group.isRoot
                        ? (1..<group.size).filter { !share($0).isEmpty }.map { Message($0, bytes, share($0)) } : [],
                    "moments, bucket \(bucket)"
                ).wait()
                guard group.isRoot else { continue }
                for cell in layout.cells[layout.buckets[bucket]] {
                    let target = isMean ? whole[cell.entry].mean : whole[cell.entry].square
                    let values = UnsafeRawBufferPointer(rebasing: bytes.bytes[place(cell.range, in: range)])
                    device.upload(values, into: target.reshaped([target.count]).slice(layout.inEntry(cell)))
                }
            }
        }
        guard group.isRoot else { return [:] }
        return Dictionary(uniqueKeysWithValues: zip(layout.entries.map(\.name), whole))
    }
}
