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

    public init(_ sources: [ShardSource], seed: UInt64, window: Int = 16, samplesPerEpoch: Int? = nil) {
        self.sources = sources
        self.seed = seed
        self.window = window
        count = samplesPerEpoch ?? sources.reduce(0) { $0 + $1.count }
    }

    /// All samples of an epoch, in order. With several sources each gives its weighted share, its own
    /// passes following each other, and the sources are interleaved at random.
    public func epoch(_ epoch: Int) -> [SampleReference] {
        if sources.count == 1, count == sources[0].count { return pass(0, epoch) }
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
