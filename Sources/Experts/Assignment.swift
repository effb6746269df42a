package import Shards
import Support
package import TensorCore
import Weights

/// Which expert owns each sample of a data set, in the order of its shards.
package struct Assignment: Sendable {
    /// The nearest fine centre; -1 for a sample without a caption, or without clusters.
    package let fine: [Int32]
    package let expert: [Int32]
    /// SHA-256 of all samples' keys: the data it belongs to.
    package let samples: String

    /// - Parameter captions: one of each sample; nil for a sample without, which is dealt out in turn
    package init(
        _ captions: [String?], _ clusters: Clusters, embedder: any CaptionEmbedder, samples: String,
        on device: any Device, progress: (Int) -> Void = { _ in }
    ) throws {
        let named = captions.indices.filter { captions[$0] != nil }
        var fine = [Int32](repeating: -1, count: captions.count)
        // A block at a time: the rows of a large set are never held together.
        for start in stride(from: 0, to: named.count, by: 8192) {
            let block = named[start..<min(named.count, start + 8192)]
            let rows = try embedder.embed(block.compactMap { captions[$0] }) { progress(start + $0) }
            let nearest = KMeans.nearest(rows, clusters.fine, width: clusters.width, on: device)
            for (sample, found) in zip(block, nearest) { fine[sample] = Int32(found.centre) }
        }
        self.fine = fine
        expert = fine.enumerated().map { index, centre in
            Int32(centre >= 0 ? clusters.expertOf[Int(centre)] : index % clusters.experts)
        }
        self.samples = samples
    }

    /// Samples dealt out at random, to `experts` sets of equal chance: the control without clusters.
    package init(random count: Int, experts: Int, seed: UInt64, samples: String) {
        fine = [Int32](repeating: -1, count: count)
        expert = (0..<count).map { sample in
            var random = RandomStream(seed: seed, purpose: "random expert", sample: sample)
            return Int32(random.integer(below: experts))
        }
        self.samples = samples
    }

    /// - Throws: `Failure(.badData)` when the file is no assignment.
    package init(file path: String) throws {
        let file = try Safetensors(path)
        func column(_ name: String) throws -> [Int32] {
            try file.integers(name).map { number in
                guard let value = Int32(exactly: number) else {
                    throw Failure(.badData, path, "tensor \(name) holds \(number), no number of a cluster or expert")
                }
                return value
            }
        }
        (fine, expert) = (try column("fine"), try column("expert"))
        guard let samples = file.metadata["samples"], fine.count == expert.count else {
            throw Failure(.badData, path, "is no assignment of samples to experts")
        }
        self.samples = samples
    }

    package func write(to path: String) throws {
        try Safetensors.write(
            [FileTensor("fine", fine, shape: [fine.count]), FileTensor("expert", expert, shape: [expert.count])],
            to: path, metadata: ["format": "pt", "samples": samples])
    }

    package func size(of expert: Int) -> Int { self.expert.count { $0 == Int32(expert) } }

    /// An expert's own samples, and of the others' each with the chance `outOfCluster` (the released code's
    /// `ooc_ratio`), once and for all.
    package func selection(expert: Int, outOfCluster: Double, seed: UInt64) -> SampleSelection {
        let uses = self.expert.enumerated().map { sample, owner -> Float in
            if owner == Int32(expert) { return 1 }
            guard outOfCluster > 0 else { return 0 }
            var random = RandomStream(seed: seed, purpose: "out of cluster \(expert)", sample: sample)
            return random.uniform() < outOfCluster ? 1 : 0
        }
        return SampleSelection(data: samples, seed: seed, uses: uses)
    }

    /// One caption of each sample, drawn by the seed; nil where there is none, which is counted by reason.
    ///
    /// - Throws: `Failure(.io)` when a shard cannot be read.
    package static func captions(of sources: [ShardSource], _ fields: SampleFields, seed: UInt64) throws -> (
        captions: [String?], faults: FaultTally
    ) {
        var (drawn, faults) = ([String?](), FaultTally())
        for shard in sources.flatMap(\.shards) {
            let open = try shard.open()
            for index in 0..<shard.count {
                var random = RandomStream(seed: seed, purpose: "cluster caption", sample: drawn.count)
                faults.seen += 1
                var key = "sample \(index)"
                do throws(SampleFault) {
                    let sample = try open.sample(index)
                    key = sample.key
                    let captions = try sample.captions(fields)
                    drawn.append(captions[random.integer(below: captions.count)])
                } catch {
                    if case .shard(let failure) = error { throw failure }
                    faults.add(error.reason, example: "\(shard.path): \(key)")
                    drawn.append(nil)
                }
            }
        }
        return (drawn, faults)
    }
}
