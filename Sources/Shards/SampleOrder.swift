import Support

/// A list of shards that are drawn from together, with its weight among the sources.
public struct ShardSource: Sendable {
    public let shards: [Shard]
    public let weight: Double
    public let count: Int

    /// - Throws: `Failure` naming the first shard that is missing or damaged.
    public init(_ patterns: [String], weight: Double = 1) throws {
        let paths = try patterns.flatMap(expandShards)
        shards = try paths.map { try Shard($0) }
        self.weight = weight
        count = shards.reduce(0) { $0 + $1.samples.count }
        guard count > 0 else { throw Failure(.badData, patterns.joined(separator: ", "), "the shards hold no samples") }
    }
}

/// A sample of a source.
public struct SampleReference: Sendable, Equatable {
    public let source: Int
    public let shard: Int
    public let index: Int
}

/// The order of samples: a function of (seed, epoch) alone.
///
/// Shards are shuffled, then the samples of each window of shards together, so that reading stays near
/// one place in large sets and small sets are shuffled whole.
public struct SampleOrder: Sendable {
    public let sources: [ShardSource]
    public let seed: UInt64
    /// Shards whose samples are shuffled together.
    public let window: Int
    /// Samples in an epoch; by default all of all sources.
    public let count: Int
    /// The samples that take part, in the order of the shards; the others are passed over, which leaves the order
    /// of those that stay as it was. nil: all.
    private let subset: [Bool]?
    /// Of each source, those that take part.
    private let kept: [Int]
    /// Of each source and shard, where its samples begin among all.
    private let starts: [[Int]]

    /// - Parameter subset: one flag for every sample of all sources
    public init(
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
        kept = zip(sources, starts).map { source, starts in
            subset?[starts[0]..<starts[0] + source.count].count { $0 } ?? source.count
        }
        let whole = samplesPerEpoch ?? all
        let share = kept.reduce(0, +)
        count = share == all ? whole : Int((Double(whole) * Double(share) / Double(max(1, all))).rounded())
    }

    /// Where this order stands when the whole order has come to a position.
    public func position(of whole: DataPosition, in order: SampleOrder) -> DataPosition {
        guard let subset else { return whole }
        let taken = order.epoch(whole.epoch).prefix(whole.taken).count { subset[index(of: $0)] }
        return DataPosition(epoch: whole.epoch, taken: taken)
    }

    /// The samples of a shard, counted through all sources, that take part.
    public func keptSamples(of shard: Int) -> [Int] {
        let start = starts.flatMap { $0 }[shard]
        return sources.flatMap(\.shards)[shard].samples.indices.filter { subset?[start + $0] ?? true }
    }

    /// A sample's place among all, shard by shard.
    private func index(of reference: SampleReference) -> Int {
        starts[reference.source][reference.shard] + reference.index
    }

    /// All samples of an epoch, in order. With several sources each gives its weighted share, its own
    /// passes following each other, and the sources are interleaved at random.
    public func epoch(_ epoch: Int) -> [SampleReference] {
        if sources.count == 1, count == kept[0] { return pass(0, epoch) }
        let total = sources.reduce(0) { $0 + $1.weight }
        var shares = sources.map { Int((Double(count) * $0.weight / total).rounded(.down)) }
        for index in 0..<(count - shares.reduce(0, +)) { shares[index % shares.count] += 1 }
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
        let size = kept[source]
        var out: [SampleReference] = []
        guard size > 0 else { return out }
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
            return subset.map { subset in references.filter { subset[index(of: $0)] } } ?? references
        }
    }
}
