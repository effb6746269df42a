import Support

/// A list of shards that are drawn from together, with its weight among the sources.
package struct ShardSource: Sendable {
    package let shards: [Shard]
    package let weight: Double
    package let count: Int

    /// - Throws: `Failure` naming the first shard that is missing or damaged.
    package init(_ patterns: [String], weight: Double = 1) throws {
        let paths = try patterns.flatMap(expandShards)
        shards = try paths.map { try Shard($0) }
        self.weight = weight
        count = shards.reduce(0) { $0 + $1.samples.count }
        guard count > 0 else { throw Failure(.badData, patterns.joined(separator: ", "), "the shards hold no samples") }
    }
}

/// A sample of a source.
package struct SampleReference: Sendable, Equatable {
    package let source: Int
    package let shard: Int
    package let index: Int
}

/// The order of samples: a function of (seed, epoch) alone.
///
/// Shards are shuffled, then the samples of each window of shards together, so that reading stays near
/// one place in large sets and small sets are shuffled whole.
package struct SampleOrder: Sendable {
    package let sources: [ShardSource]
    package let seed: UInt64
    /// Shards whose samples are shuffled together.
    package let window: Int
    /// Samples in an epoch (of a subset in the first one); by default all of all sources.
    package private(set) var count: Int
    private let whole: Int
    /// The samples that take part, in the order of the shards; the others are passed over, which leaves the order
    /// of those that stay as it was. nil: all.
    private let subset: [Bool]?
    /// Of each source and shard, where its samples begin among all.
    private let starts: [[Int]]

    /// - Parameter subset: one flag for every sample of all sources
    package init(
        _ sources: [ShardSource], seed: UInt64, window: Int = 16, samplesPerEpoch: Int? = nil, subset: [Bool]? = nil
    ) {
        self.sources = sources
        self.seed = seed
        self.window = window
        self.subset = subset
        let all = sources.reduce(0) { $0 + $1.count }
        precondition(subset == nil || subset!.count == all, "a subset needs a flag for each of the \(all) samples")
        var start = 0
        starts = sources.map { source in
            source.shards.map { shard in
                defer { start += shard.samples.count }
                return start
            }
        }
        whole = samplesPerEpoch ?? all
        count = whole
        guard subset != nil else { return }
        count = epoch(0).count
    }

    /// All samples of an epoch, in order.
    package func epoch(_ epoch: Int) -> [SampleReference] {
        let all = wholeEpoch(epoch)
        return subset.map { subset in all.filter { subset[index(of: $0)] } } ?? all
    }

    /// Where this order stands when the order of all samples has come to a position.
    package func position(ofWhole position: DataPosition) -> DataPosition {
        guard let subset else { return position }
        let taken = wholeEpoch(position.epoch).prefix(position.taken).count { subset[index(of: $0)] }
        return DataPosition(epoch: position.epoch, taken: taken)
    }

    /// The samples of a shard, counted through all sources, that take part.
    package func keptSamples(of shard: Int) -> [Int] {
        let start = starts.flatMap { $0 }[shard]
        return sources.flatMap(\.shards)[shard].samples.indices.filter { subset?[start + $0] ?? true }
    }

    /// A sample's place among all, shard by shard.
    private func index(of reference: SampleReference) -> Int {
        starts[reference.source][reference.shard] + reference.index
    }

    /// With several sources each gives its weighted share, its own passes following each other, and the sources are
    /// interleaved at random.
    private func wholeEpoch(_ epoch: Int) -> [SampleReference] {
        if sources.count == 1, whole == sources[0].count { return pass(0, epoch) }
        let total = sources.reduce(0) { $0 + $1.weight }
        var shares = sources.map { Int((Double(whole) * $0.weight / total).rounded(.down)) }
        for index in 0..<(whole - shares.reduce(0, +)) { shares[index % shares.count] += 1 }
        var turns = shares.enumerated().flatMap { [Int](repeating: $0.offset, count: $0.element) }
        var random = RandomStream(seed: seed, purpose: "mixture", epoch: epoch)
        random.shuffle(&turns)
        var streams = shares.enumerated().map { source, share in
            stretch(source, from: epoch * share, count: share).makeIterator()
        }
        return turns.compactMap { streams[$0].next() }
    }

    /// `count` samples of a source's endless sequence of passes.
    private func stretch(_ source: Int, from start: Int, count: Int) -> [SampleReference] {
        let size = sources[source].count
        var out: [SampleReference] = []
        var position = start
        while out.count < count {
            let (number, offset) = (position / size, position % size)
            let piece = pass(source, number)[offset..<min(size, offset + count - out.count)]
            out += piece
            position += piece.count
        }
        return out
    }

    /// One pass over a source.
    private func pass(_ source: Int, _ number: Int) -> [SampleReference] {
        var random = RandomStream(seed: seed, purpose: "order of source \(source)", epoch: number)
        var shards = Array(sources[source].shards.indices)
        random.shuffle(&shards)
        return stride(from: 0, to: shards.count, by: window).flatMap { start -> [SampleReference] in
            var references = shards[start..<min(shards.count, start + window)].flatMap { shard in
                sources[source].shards[shard].samples.indices.map {
                    SampleReference(source: source, shard: shard, index: $0)
                }
            }
            random.shuffle(&references)
            return references
        }
    }
}
