package import Shards

extension SampleOrder {
    /// A whole epoch.
    package func epoch(_ number: Int) throws -> [SampleReference] {
        var samples = samples(of: number)
        var all: [SampleReference] = []
        while let next = try samples.next() { all.append(next) }
        return all
    }
}

extension Shard {
    /// Every sample, in order.
    package func all() throws -> [Sample] {
        let open = try open()
        return try (0..<count).map { try open.sample($0) }
    }
}
