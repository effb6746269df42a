import Foundation
import Shards
import Support
import TestKit
import Testing

@Suite struct SampleSelectionTests {
    private func order(_ folder: String, uses: [Float], seed: UInt64 = 3) throws -> SampleOrder {
        try AtomicFile.write(to: folder + "/x.tar") { file in
            let tar = TarWriter(file)
            for number in uses.indices { try tar.add("key\(number).txt", Data("caption".utf8)) }
            try tar.finish()
        }
        let selection = SampleSelection(data: "", seed: seed, uses: uses)
        return try SampleOrder([ShardSource([folder + "/x.tar"])], seed: 1, selection: selection)
    }

    @Test("A sample that is kept with a chance is drawn anew each epoch, about as often as it says")
    func draws() throws {
        try Places.withFolder { folder in
            let order = try order(folder, uses: (0..<300).map { [0, 0.25, 1][$0 % 3] })
            var counts = [0, 0, 0]
            var epochs: [[Int]] = []
            for epoch in 0..<40 {
                let samples = try order.epoch(epoch).map(\.index)
                #expect(Set(samples).count == samples.count)
                for sample in samples { counts[sample % 3] += 1 }
                epochs.append(samples.filter { $0 % 3 == 1 }.sorted())
            }
            #expect(counts[0] == 0)
            #expect(counts[2] == 4000)
            // 4,000 draws of a quarter: 1,000, five deviations of 27 apart.
            #expect(abs(counts[1] - 1000) < 137)
            #expect(Set(epochs).count == 40)
            #expect(try order.count == order.epoch(0).count)
        }
    }

    @Test("Its draws are those of the golden values: a stream of seed, \"keep\", epoch and the sample's id")
    func ids() {
        // SHA-256("shard-00000/897328370") begins so; made with another program.
        #expect(SampleRecord.id(shard: "shard-00000", key: "897328370") == 3_375_892_072_738_845_145)
        var stream = RandomStream(seed: 11, purpose: "keep", epoch: 1, sample: 3_375_892_072_738_845_145)
        #expect(stream.uniform() == 0.7497093108419706)
    }

    @Test("A selection keeps its values through its file, and other files are refused")
    func file() throws {
        try Places.withFolder { folder in
            let selection = SampleSelection(data: "abc", seed: 9, uses: [0, 1, 0.125])
            try selection.write(to: folder + "/s")
            let read = try SampleSelection(file: folder + "/s")
            #expect(read.data == "abc" && read.seed == 9 && read.uses == selection.uses)
            let bytes = try readFile(folder + "/s")
            for wrong in [bytes.dropLast(), bytes + Data([0]), Data("{}\n".utf8), Data()] {
                try AtomicFile.write(Data(wrong), to: folder + "/w")
                #expect(#expect(throws: Failure.self) { try SampleSelection(file: folder + "/w") }?.kind == .badData)
            }
        }
    }
}
