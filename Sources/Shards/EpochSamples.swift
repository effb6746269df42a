import Support

/// The samples of one epoch, one after the other. With several sources each gives its weighted share, its own passes
/// following each other, and the sources are interleaved at random.
package struct EpochSamples {
    private let order: SampleOrder
    private let epoch: Int
    private var stretches: [Stretch]
    /// Of the order without a selection, so far.
    private var passed = 0
    /// Which source is next, for a part of the epoch.
    private var turns: [UInt16] = []
    private var nextTurn = 0
    private var nextPart = 0
    private let shares: [Int]
    /// The ids of the shards that were drawn from last, where a selection draws.
    private var ids: [SourceShard: [Int64]] = [:]

    private struct SourceShard: Hashable {
        let source, shard: Int
    }

    /// Samples whose sources are interleaved together. A longer epoch is cut into several such parts, so that no list of
    /// all its samples is needed (docs/decisions/0012).
    private static let part = 1 << 22

    init(_ order: SampleOrder, _ epoch: Int) {
        (self.order, self.epoch) = (order, epoch)
        let total = order.sources.reduce(0) { $0 + $1.weight }
        if order.sources.count == 1, order.whole == order.sources[0].count {
            shares = [order.whole]
        } else {
            var shares = order.sources.map { Int((Double(order.whole) * $0.weight / total).rounded(.down)) }
            for index in 0..<(order.whole - shares.reduce(0, +)) { shares[index % shares.count] += 1 }
            self.shares = shares
        }
        stretches = shares.enumerated().map { source, share in
            Stretch(order, source: source, from: epoch * share)
        }
    }

    /// nil at the end of the epoch.
    ///
    /// - Throws: `Failure(.io)` when an index can no longer be read
    package mutating func next() throws -> SampleReference? { try next(within: .max) }

    /// The next sample among the first `limit` of the order without a selection.
    mutating func next(within limit: Int) throws -> SampleReference? {
        while passed < min(limit, order.whole) {
            let reference = stretches[source()].next()
            passed += 1
            if try isUsed(reference) { return reference }
        }
        return nil
    }

    /// Whose turn it is.
    private mutating func source() -> Int {
        guard order.sources.count > 1 else { return 0 }
        if nextTurn == turns.count {
            let parts = max(1, (order.whole + Self.part - 1) / Self.part)
            let part = nextPart
            nextPart += 1
            turns = shares.enumerated().flatMap { source, share in
                [UInt16](
                    repeating: UInt16(source), count: share * (part + 1) / parts - share * part / parts)
            }
            // The first part of a long epoch is drawn as a short one is whole.
            var random = RandomStream(
                seed: order.seed, purpose: part == 0 ? "mixture" : "mixture part \(part)", epoch: epoch)
            random.shuffle(&turns)
            nextTurn = 0
        }
        defer { nextTurn += 1 }
        return Int(turns[nextTurn])
    }

    private mutating func isUsed(_ reference: SampleReference) throws -> Bool {
        guard let selection = order.selection else { return true }
        let sample = order.starts[reference.source][reference.shard] + reference.index
        let share = selection.uses[sample]
        if share == 0 || share == 1 { return share == 1 }
        let place = SourceShard(source: reference.source, shard: reference.shard)
        if ids[place] == nil {
            if ids.count > 2 * order.window { ids = [:] }
            ids[place] = try order.sources[reference.source].shards[reference.shard].ids()
        }
        return selection.isUsed(sample, id: ids[place]?[reference.index] ?? 0, epoch: epoch)
    }
}

/// A source's endless sequence of passes, from somewhere on.
private struct Stretch {
    private let order: SampleOrder
    private let source: Int
    private var number: Int
    private var pass: Pass

    init(_ order: SampleOrder, source: Int, from start: Int) {
        (self.order, self.source) = (order, source)
        let size = order.sources[source].count
        number = start / size
        pass = Pass(order, source: source, number: number)
        for _ in 0..<start % size { _ = pass.next() }
    }

    mutating func next() -> SampleReference {
        while true {
            if let next = pass.next() { return next }
            number += 1
            pass = Pass(order, source: source, number: number)
        }
    }
}

/// One pass over a source: its shards in a drawn order, the samples of each window of them shuffled together.
private struct Pass {
    private let shards: [Shard]
    private let source: Int
    private let window: Int
    private var random: RandomStream
    private let drawn: [Int]
    private var nextShard = 0
    private var held: [(shard: Int32, index: Int32)] = []
    private var place = 0

    init(_ order: SampleOrder, source: Int, number: Int) {
        (shards, self.source, window) = (order.sources[source].shards, source, order.window)
        random = RandomStream(seed: order.seed, purpose: "order of source \(source)", epoch: number)
        var drawn = Array(shards.indices)
        random.shuffle(&drawn)
        self.drawn = drawn
    }

    mutating func next() -> SampleReference? {
        while place == held.count {
            guard nextShard < drawn.count else { return nil }
            let end = min(drawn.count, nextShard + window)
            held = drawn[nextShard..<end].flatMap { shard in
                (0..<shards[shard].count).map { (Int32(shard), Int32($0)) }
            }
            random.shuffle(&held)
            (nextShard, place) = (end, 0)
        }
        defer { place += 1 }
        return SampleReference(source: source, shard: Int(held[place].shard), index: Int(held[place].index))
    }
}
