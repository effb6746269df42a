import Evaluation
import Foundation
import Images
import Scenes
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct BatcherTests {
    private func plan(threads: Int, faultShare: Double = 0.5) throws -> BatchPlan {
        var plan = BatchPlan(
            size: 8, preprocess: try Preprocess(["size": 16], height: 16, width: 16, path: "test"), contextLength: 16)
        plan.augmentation = Augmentation(scale: 0.5...1, flip: 0.5)
        (plan.threads, plan.largestFaultShare) = (threads, faultShare)
        return plan
    }

    private func tokenizer() throws -> any Tokenizer { try TokenizerCard(Places.project + "/Tokenizers/scenes").load() }

    private func writeScenes(_ folder: String, count: Int = 50) throws {
        var rules = SceneRules()
        rules.side = 24
        try rules.write(count: count, seed: 1, to: folder, shardSize: 20, threads: 2)
    }

    @Test("Batches are the same for one and three threads, and continue from a position")
    func threadsAndPosition() throws {
        try Places.withFolder { folder in
            try writeScenes(folder)
            let order = try SampleOrder([try ShardSource([folder])], seed: 9)
            func batches(_ threads: Int, _ count: Int, from position: DataPosition = DataPosition()) throws -> (
                [Batch], DataPosition
            ) {
                let batcher = try Batcher(order, try plan(threads: threads), tokenizer: try tokenizer(), from: position)
                defer { batcher.stop() }
                return (try (0..<count).map { _ in try batcher.next() }, batcher.position)
            }
            let (one, _) = try batches(1, 14)
            let (three, _) = try batches(3, 14)
            #expect(one.map(\.keys) == three.map(\.keys))
            #expect(one.map { Array($0.pixels.bytes) } == three.map { Array($0.pixels.bytes) })
            #expect(one.map(\.tokens) == three.map(\.tokens))
            let (_, position) = try batches(2, 9)
            let (rest, _) = try batches(2, 5, from: position)
            #expect(rest.map(\.keys) == one[9...].map(\.keys))
            #expect(rest.map { Array($0.pixels.bytes) } == one[9...].map { Array($0.pixels.bytes) })
            // 50 samples give six batches of eight; the seventh begins the next epoch.
            #expect(Set(one[..<6].flatMap(\.keys)).count == 48)
        }
    }

    @Test("Bad samples are left out and counted by reason, and too many stop the run")
    func faults() throws {
        try Places.withFolder { folder in
            let good = PixelImage(width: 20, height: 20, pixels: [UInt8](repeating: 90, count: 1200)).jpeg()
            try AtomicFile.write(to: folder + "/x.tar") { file in
                let tar = TarWriter(file)
                for index in 0..<40 {
                    let key = String(format: "%03d", index)
                    try tar.add(
                        key + ".jpg",
                        index == 3 ? Data("garbage".utf8) : index == 5 ? good.prefix(good.count / 2) : good)
                    try tar.add(key + ".txt", Data((index == 7 ? "  \n" : "a grey square").utf8))
                }
                try tar.finish()
            }
            let order = try SampleOrder([try ShardSource([folder])], seed: 1)
            let batcher = try Batcher(order, try plan(threads: 2), tokenizer: try tokenizer())
            defer { batcher.stop() }
            func step(_ batcher: Batcher) throws {
                let batch = try batcher.next()
                #expect(batch.count == 8)
                try batcher.settle(batcher.takeFaults())
            }
            for _ in 0..<8 { try step(batcher) }
            #expect(
                Set(batcher.faults.counts.keys).isSuperset(of: ["not an image", "truncated image", "empty caption"]))
            let strict = try Batcher(order, try plan(threads: 1, faultShare: 0.01), tokenizer: try tokenizer())
            defer { strict.stop() }
            let failure = #expect(throws: Failure.self) { for _ in 0..<80 { try step(strict) } }
            #expect(failure?.kind == .badData)
        }
    }

    @Test("A truncated tar and a missing shard are named")
    func damagedShards() throws {
        try Places.withFolder { folder in
            try writeScenes(folder + "/whole", count: 10)
            let whole = try readFile(folder + "/whole/scenes-0000.tar")
            try AtomicFile.write(whole.prefix(whole.count / 2), to: folder + "/cut.tar")
            let cut = #expect(throws: Failure.self) { try Shard(folder + "/cut.tar") }
            #expect(cut?.kind == .badData)
            #expect(cut?.subject == folder + "/cut.tar")
            let missing = #expect(throws: Failure.self) { try Shard(folder + "/none.tar") }
            #expect(missing?.kind == .inputMissing)
            try AtomicFile.write(
                "no tar at all, but long enough to hold a header" + String(repeating: "x", count: 600),
                to: folder + "/text.tar")
            #expect(#expect(throws: Failure.self) { try Shard(folder + "/text.tar") }?.problem == "is no tar file")
        }
    }

    @Test("Brace patterns expand as in a shell")
    func braces() throws {
        #expect(try expandShards("a-{0008..0010}.tar") == ["a-0008.tar", "a-0009.tar", "a-0010.tar"])
        #expect(try expandShards("{x,y}-{0..1}") == ["x-0", "x-1", "y-0", "y-1"])
        #expect(throws: Failure.self) { try expandShards("a-{3..1}.tar") }
    }

    @Test("Shards packed from a table keep the bytes of the images")
    func pack() throws {
        try Places.withFolder { folder in
            let image = PixelImage(width: 9, height: 7, pixels: [UInt8](repeating: 33, count: 189)).jpeg()
            try AtomicFile.write(image, to: folder + "/one.jpg")
            try AtomicFile.write("filepath,title\none.jpg,\"a, \"\"b\"\"\"\none.jpg,second\n", to: folder + "/x.csv")
            let packer = try ShardPacker(
                table: folder + "/x.csv", separator: nil, imageKey: "filepath", captionKey: "title")
            let tally = try packer.write(images: folder, to: folder + "/out", shardSize: 10)
            #expect(tally.leftOut.total == 0)
            let shard = try Shard(folder + "/out/shard-00000.tar")
            #expect(try shard.all()[0].captions() == ["a, \"b\"", "second"])
            #expect(try shard.all()[0].imageData() == image)
        }
    }

    @Test("A member whose name is longer than a tar header holds is written and read again")
    func longNames() throws {
        try Places.withFolder { folder in
            let name = String(repeating: "folder/", count: 20) + "key"
            try AtomicFile.write(to: folder + "/long.tar") { file in
                let tar = TarWriter(file)
                try tar.add(name + ".txt", Data("a caption".utf8))
                try tar.finish()
            }
            let shard = try Shard(folder + "/long.tar")
            #expect(try shard.all().map(\.key) == [name])
            #expect(try shard.all()[0].captions() == ["a caption"])
        }
    }
}
