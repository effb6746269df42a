import Layers
import Processes
import Support
import TensorCore

/// The sum of all slices' gradients over all ranks by one tree (`TreeSum`), bucket by bucket while the last slice's backward
/// pass still runs. Each rank ends with the sums of what it owns.
final class GradientSum {
    let layout: FlatLayout
    let parameters: [Parameter]
    private let group: any ProcessGroup
    private let slices: Int
    /// How many gradients each parameter gets in one slice; nil: not known yet.
    private(set) var arrivals: [Int]?
    /// Sums of the slices before, the largest first.
    private var held: [Tensor] = []
    private var sizes: [Int] = []
    private var current: Tensor
    private var finished = 0
    /// Of each bucket, the entries that are not final yet.
    private var missing: [Int]
    private let bucketsOf: [[Int]]
    private var travelling: [Int: (pieces: HostBytes, transfer: Transfer, sent: HostBytes)] = [:]
    private var sent: Set<Int> = []

    /// - Parameters:
    ///   - parameters: the layout's, watched
    ///   - arrivals: of an earlier step
    ///   - slices: of this rank
    init(_ layout: FlatLayout, _ group: any ProcessGroup, _ parameters: [Parameter], arrivals: [Int]?, slices: Int) {
        (self.layout, self.group, self.parameters) = (layout, group, parameters)
        (self.arrivals, self.slices) = (arrivals, slices)
        current = parameters[0].master.device.empty([layout.count])
        bucketsOf = layout.entries.indices.map(layout.buckets(of:))
        missing = layout.buckets.map { cells in Set(layout.cells[cells].map(\.entry)).count }
    }

    /// Before a slice's backward pass. Of the last one gradients are taken as they become final, where it is known when
    /// that is.
    func beginSlice() {
        guard finished == slices - 1, let arrivals else { return }
        for (index, parameter) in parameters.enumerated() {
            parameter.onArrival { [unowned self] count in
                precondition(count <= arrivals[index], "a gradient of \(parameter.name) came after its last one")
                if count == arrivals[index] { take(index) }
            }
            if arrivals[index] == 0 { take(index) }
        }
    }

    /// After a slice's backward pass.
    func endSlice() {
        finished += 1
        if finished == slices {
            if arrivals == nil { collectAll() }
            for parameter in parameters { parameter.onArrival(nil) }
            for bucket in layout.buckets.indices where !sent.contains(bucket) { send(bucket) }
            return
        }
        collectAll()
        held.append(current)
        sizes.append(1)
        while sizes.count > 1, sizes[sizes.count - 1] == sizes[sizes.count - 2] {
            let right = held.removeLast()
            held[held.count - 1].accumulate(right)
            let size = sizes.removeLast()
            sizes[sizes.count - 1] += size
        }
        current = current.device.empty([layout.count])
    }

    private func collectAll() {
        let counts = parameters.indices.map(collect)
        precondition(arrivals ?? counts == counts, "two slices sent another number of gradients")
        arrivals = counts
    }

    /// A parameter's gradient to its place; zeros where none came (that of the logit scale comes with the loss).
    ///
    /// - Returns: how many had arrived
    private func collect(_ index: Int) -> Int {
        let entry = layout.entries[index]
        let part = current.slice(entry.start..<entry.start + entry.count)
        let (gradient, count) = parameters[index].takeGradient()
        part.fill(from: gradient?.reshaped([entry.count]) ?? current.device.zeros([entry.count]))
        return count
    }

    private func take(_ index: Int) {
        _ = collect(index)
        for bucket in bucketsOf[index] {
            missing[bucket] -= 1
            if missing[bucket] == 0 { send(bucket) }
        }
    }

    /// This rank's sum of a bucket, and on its way to its owners.
    private func send(_ bucket: Int) {
        sent.insert(bucket)
        let range = layout.range(of: bucket)
        var sum = current.slice(range)
        for left in held.reversed() {
            let part = left.slice(range)
            part.accumulate(sum)
            sum = part
        }
        if !held.isEmpty { current.slice(range).fill(from: sum) }
        guard group.size > 1 else { return }
        let bytes = sum.hostBytes
        func share(_ rank: Int) -> Range<Int> {
            let owned = layout.ownedRange(bucket, by: rank, of: group.size)
            return (owned.lowerBound - range.lowerBound) * 4..<(owned.upperBound - range.lowerBound) * 4
        }
        let mine = share(group.rank)
        let pieces = HostBytes(count: mine.count * group.size)
        pieces.part(group.rank * mine.count..<(group.rank + 1) * mine.count).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: bytes.bytes[mine]))
        let others = (1..<group.size).map { (group.rank + $0) % group.size }
        let transfer = group.exchange(
            others.filter { !share($0).isEmpty }.map { Message($0, bytes, share($0)) },
            mine.isEmpty
                ? [] : others.map { Message($0, pieces, $0 * mine.count..<($0 + 1) * mine.count) },
            "gradients, bucket \(bucket)")
        travelling[bucket] = (pieces, transfer, bytes)
    }

    /// [layout.count]; what this rank owns are the sums over all slices.
    func total() throws -> Tensor {
        for bucket in layout.buckets.indices {
            guard let (pieces, transfer, _) = travelling[bucket] else { continue }
            try transfer.wait()
            let owned = layout.ownedRange(bucket, by: group.rank, of: group.size)
            guard !owned.isEmpty else { continue }
            pieces.part(0..<pieces.count).withMemoryRebound(to: Float.self) { floats in
                guard let start = floats.baseAddress else { return }
                TreeSum.add((0..<group.size).map { start + $0 * owned.count }, count: owned.count)
            }
            let sum = UnsafeRawBufferPointer(rebasing: pieces.bytes[..<(owned.count * 4)])
            current.device.upload(sum, into: current.slice(owned))
        }
        return current
    }
}
