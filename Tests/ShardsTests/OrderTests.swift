import Evaluation
import Foundation
import Images
import Scenes
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct OrderTests {
    private func writeScenes(_ folder: String, count: Int = 50) throws {
        var rules = SceneRules()
        rules.side = 24
        try rules.write(count: count, seed: 1, to: folder, shardSize: 20, threads: 2)
    }

    @Test("Sources share an epoch by their weights")
    func mixture() throws {
        try Places.withFolder { folder in
            try writeScenes(folder + "/a", count: 30)
            try writeScenes(folder + "/b", count: 30)
            let sources = [try ShardSource([folder + "/a"], weight: 3), try ShardSource([folder + "/b"], weight: 1)]
            let order = try SampleOrder(sources, seed: 2, samplesPerEpoch: 40)
            #expect(try order.epoch(0).count { $0.source == 0 } == 30)
            #expect(try order.epoch(0).count { $0.source == 1 } == 10)
            // Three epochs of ten visit every sample of the second source once.
            let visits = try (0..<3).flatMap { try order.epoch($0).filter { $0.source == 1 } }
            #expect(Set(visits.map { "\($0.shard) \($0.index)" }).count == 30)
        }
    }

    @Test("A subset passes over samples and leaves the order of the others, with several weighted sources too")
    func subsets() throws {
        try Places.withFolder { folder in
            var rules = SceneRules()
            rules.side = 16
            try rules.write(count: 30, seed: 1, to: folder + "/a", shardSize: 8, threads: 1)
            try rules.write(count: 20, seed: 2, to: folder + "/b", shardSize: 8, threads: 1)
            let sources = [try ShardSource([folder + "/a"], weight: 3), try ShardSource([folder + "/b"])]
            let flags = (0..<50).map { $0 % 3 == 0 || $0 > 44 }
            let whole = try SampleOrder(sources, seed: 4, samplesPerEpoch: 44)
            let uses = flags.map { $0 ? Float(1) : 0 }
            let selection = SampleSelection(data: "", seed: 4, uses: uses)
            let part = try SampleOrder(sources, seed: 4, samplesPerEpoch: 44, selection: selection)
            let starts = [[0, 8, 16, 24], [30, 38, 46]]
            func isKept(_ reference: SampleReference) -> Bool {
                flags[starts[reference.source][reference.shard] + reference.index]
            }
            for epoch in 0..<3 { #expect(try part.epoch(epoch) == whole.epoch(epoch).filter(isKept)) }
            let position = try part.position(ofWhole: DataPosition(epoch: 1, taken: 20))
            #expect(try position.epoch == 1 && position.taken == whole.epoch(1).prefix(20).count(where: isKept))
            #expect(try (0..<7).reduce(0) { try $0 + part.keptSamples(of: $1).count } == flags.count { $0 })
        }
    }
}
