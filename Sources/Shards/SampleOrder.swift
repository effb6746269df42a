import Support

/// A list of shards that are drawn from together, with its weight among the sources.
package struct ShardSource: Sendable {
    package let shards: [Shard]
    package let weight: Double
    package let count: Int

    /// - Throws: `Failure` naming the first shard that is missing or damaged.
    package init(_ patterns: [String], weight: Double = 1) throws {
        shards = try Shard.open(patterns.flatMap(expandShards))
        self.weight = weight
        count = shards.reduce(0) { $0 + $1.count }
        guard count > 0 else { throw Failure(.badData, patterns.joined(separator: ", "), "the shards hold no samples") }
    }

    /// The sample at a place among all of this source, which is the number-th of an order.
    func reference(_ place: Int, in number: Int) -> SampleReference {
        var (shard, index) = (0, place)
        while index >= shards[shard].count { (shard, index) = (shard + 1, index - shards[shard].count) }
        return SampleReference(source: number, shard: shard, index: index)
    }
}

/// A sample of a source.
package struct SampleReference: Sendable, Equatable {
    package let source: Int
    package let shard: Int
    package let index: Int
}

/// The order of samples: a function of (seed, epoch) alone, made as it is read; what is held is a window of shards.
///
/// Shards are shuffled, then the samples of each window of shards together, so that reading stays near
/// one place in large sets and small sets are shuffled whole.
package struct SampleOrder: Sendable {
    package let sources: [ShardSource]
    package let seed: UInt64
    /// Shards whose samples are shuffled together.
    let window: Int
    /// Samples in an epoch (of a selection in the first one); by default all of all sources.
    package private(set) var count: Int
    /// The same with no selection.
    let whole: Int
    /// Which samples take part; the others are passed over, which leaves the order of those that stay as it was.
    let selection: SampleSelection?
    /// Of each source and shard, where its samples begin among all.
    let starts: [[Int]]

    /// - Parameter selection: of all samples of all sources
    /// - Throws: `Failure(.io)` when an index can no longer be read
    package init(
        _ sources: [ShardSource], seed: UInt64, window: Int = 16, samplesPerEpoch: Int? = nil,
        selection: SampleSelection? = nil
    ) throws {
        (self.sources, self.seed, self.window, self.selection) = (sources, seed, window, selection)
        let all = sources.reduce(0) { $0 + $1.count }
        precondition(selection.map { $0.uses.count == all } ?? true, "a selection of other data than \(all) samples")
        var start = 0
        starts = sources.map { source in
            source.shards.map { shard in
                defer { start += shard.count }
                return start
            }
        }
        whole = samplesPerEpoch ?? all
        count = whole
        guard let selection else { return }
        if whole == all, sources.count == 1, !selection.isDrawn {
            count = selection.uses.count { $0 == 1 }
        } else {
            var samples = samples(of: 0)
            count = 0
            while try samples.next() != nil { count += 1 }
        }
    }

    /// The samples of an epoch, in order.
    package func samples(of epoch: Int) -> EpochSamples { EpochSamples(self, epoch) }

    /// Whether a sample takes part in an epoch.
    ///
    /// - Throws: `Failure(.io)` when an index can no longer be read
    func isUsed(_ reference: SampleReference, epoch: Int) throws -> Bool {
        guard let selection else { return true }
        let sample = starts[reference.source][reference.shard] + reference.index
        let share = selection.uses[sample]
        if share == 0 || share == 1 { return share == 1 }
        let ids = try sources[reference.source].shards[reference.shard].ids()
        return selection.isUsed(sample, id: ids[reference.index], epoch: epoch)
    }

    /// Where this order stands when the order of all samples has come to a position.
    ///
    /// - Throws: `Failure(.io)` when an index can no longer be read
    package func position(ofWhole position: DataPosition) throws -> DataPosition {
        guard selection != nil else { return position }
        var samples = samples(of: position.epoch)
        var taken = 0
        while try samples.next(within: position.taken) != nil { taken += 1 }
        return DataPosition(epoch: position.epoch, taken: taken)
    }

    /// The samples of a shard, counted through all sources, that take part in the first epoch.
    ///
    /// - Throws: `Failure(.io)` when an index can no longer be read
    package func keptSamples(of shard: Int) throws -> [Int] {
        guard let selection else { return Array(0..<sources.flatMap(\.shards)[shard].count) }
        let (start, its) = (starts.flatMap { $0 }[shard], sources.flatMap(\.shards)[shard])
        let ids = try its.ids()
        return (0..<its.count).filter { selection.isUsed(start + $0, id: ids[$0], epoch: 0) }
    }
}
