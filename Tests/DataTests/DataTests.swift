import Scenes
import Evaluation
import Foundation
import Images
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct DataTests {
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

    @Test("Scenes are the same bytes for the same seed and others for another")
    func sceneBytes() throws {
        try Places.withFolder { folder in
            var rules = SceneRules()
            rules.side = 24
            try rules.write(count: 30, seed: 5, to: folder + "/a", threads: 1)
            try rules.write(count: 30, seed: 5, to: folder + "/b", threads: 3)
            try rules.write(count: 30, seed: 6, to: folder + "/c", threads: 1)
            let digests = try ["a", "b", "c"].map { SHA256.hex(try readFile("\(folder)/\($0)/scenes-0000.tar")) }
            #expect(digests[0] == digests[1])
            #expect(digests[0] != digests[2])
        }
    }

    @Test("Withheld pairs are ten, one per shape and colour, and never shown when left out")
    func withheldPairs() {
        var rules = SceneRules()
        rules.pairs = .seen
        for number in 0..<500 {
            for object in rules.scene(number, seed: 1).objects {
                #expect(!Scene.isWithheld(object.shape, object.colour))
            }
        }
        let pairs = Scene.Shape.allCases.flatMap { shape in
            Scene.Colour.allCases.filter { Scene.isWithheld(shape, $0) }.map { (shape, $0) }
        }
        #expect(pairs.count == 10)
        #expect(Set(pairs.map(\.0)).count == 10)
        #expect(Set(pairs.map(\.1)).count == 10)
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
            for _ in 0..<8 { _ = try batcher.next() }
            #expect(
                Set(batcher.faults.counts.keys).isSuperset(of: ["not an image", "truncated image", "empty caption"]))
            let strict = try Batcher(order, try plan(threads: 1, faultShare: 0.01), tokenizer: try tokenizer())
            defer { strict.stop() }
            let failure = #expect(throws: Failure.self) { for _ in 0..<40 { _ = try strict.next() } }
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

    @Test("The bytes that open_clip's own tokenizer writes for a caption")
    func clipRow() throws {
        let tokenizer = try TokenizerCard(Places.project + "/Tokenizers/clip-bpe").load()
        #expect(tokenizer.row("a photo of a cat", contextLength: 8) == [49406, 320, 1125, 539, 320, 2368, 49407, 0])
        #expect(tokenizer.row("a photo of a cat", contextLength: 4) == [49406, 320, 1125, 49407])
    }

    @Test("A COCO captions file and a folder of images are read in the file's order")
    func coco() throws {
        try Places.withFolder { folder in
            let json: JSON = [
                "images": [["id": 7, "file_name": "b.jpg"], ["id": 3, "file_name": "a.jpg"]],
                "annotations": [
                    ["image_id": 3, "caption": "third"], ["image_id": 7, "caption": "first"],
                    ["image_id": 7, "caption": "second"],
                ],
            ]
            try AtomicFile.write(json.text(), to: folder + "/captions.json")
            let task = try TaskFile.read(Places.project + "/Evals/tasks/coco5k.yaml")
            let set = try EvaluationSet(folder + "/captions.json", images: folder, task.request)
            #expect(set.items.map(\.key) == ["b", "a"])
            #expect(set.items.map(\.captions) == [["first", "second"], ["third"]])
            let failure = #expect(throws: Failure.self) { try set.items[0].image() }
            #expect(failure?.description == "\(folder)/b.jpg: no such file.")
        }
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
